"""Everything in a workspace is either read or told, whatever it is; nothing is waited for."""

import os
import socket
from pathlib import Path

import pytest

from eventd.migration import files
from eventd.migration.files import Unreadable, read
from eventd.migration.walk import Walk, walk
from support.users import FIRST_USER, only_root, run_as
from support.workspace import SAMPLE, write


def paths(found: Walk) -> list[str]:
    return [os.fsdecode(file.path) for file in found.files]


def reasons(found: Walk) -> dict[str, str]:
    return {os.fsdecode(skipped.path): skipped.reason for skipped in found.skipped}


def test_all_of_a_memory_is_found(tmp_path: Path) -> None:
    """Every file of the sample, and no other."""
    write(tmp_path, SAMPLE | {"projects/README.md": b"not ours", "notes.md": b"nor this"})
    assert paths(walk(tmp_path)) == sorted(SAMPLE)


def test_machine_state_is_skipped_with_the_reason(tmp_path: Path) -> None:
    """Nothing of it is a memory; a file that only keeps a folder is not even told."""
    write(tmp_path, {
        "memory/.dreams/a.md": b"x", "memory/main.sqlite": b"x", "memory/node_modules/b/c.md": b"x",
        "memory/.gitkeep": b"", "memory/picture.png": b"x", "life/areas/people/x/state.json": b"x",
        "SOUL.md": b"x", "AGENTS.md": b"x", "MEMORY.md": b"x",
    })  # fmt: skip
    found = walk(tmp_path)
    assert paths(found) == ["MEMORY.md"]
    assert reasons(found) == {
        "AGENTS.md": "instructions for the agent, no memory",
        "SOUL.md": "instructions for the agent, no memory",
        "life/areas/people/x/state.json": "no Markdown, and no list of facts",
        "memory/.dreams": "hidden: machine state",
        "memory/main.sqlite": "machine state",
        "memory/node_modules": "machine state",
        "memory/picture.png": "no Markdown, and no list of facts",
    }
    assert not any(skipped.told for skipped in found.skipped)


def test_links_are_followed_within_the_workspace_only(tmp_path: Path) -> None:
    """Out of it, in circles and into nothing they are told; what is read anyway is read once."""
    folder = write(tmp_path / "w", {"memory/a.md": b"a", "notes/b.md": b"b", "notes/deep/c.md": b"c"})
    outside = write(tmp_path / "outside", {"secret.md": b"x"})
    memory = folder / "memory"
    links: dict[str, str | Path] = {
        "circle.md": "circle.md",
        "nothing.md": "gone.md",
        "out.md": outside / "secret.md",
        "outside": outside,
        "again.md": "a.md",
        "up": "..",
        "linked.md": folder / "notes" / "b.md",
        "notes": folder / "notes",
        "notes2": folder / "notes",
    }
    for name, target in links.items():
        (memory / name).symlink_to(target)
    found = walk(folder)
    assert paths(found) == ["memory/a.md", "memory/linked.md", "memory/notes/b.md", "memory/notes/deep/c.md"]
    said = reasons(found)
    assert said.pop("memory/circle.md").startswith("leads nowhere: ")
    assert said.pop("memory/nothing.md").startswith("leads nowhere: ")
    assert said == {
        "memory/again.md": "a link to what is read under its own name",
        "memory/notes2": "a link to what is read already",
        "memory/out.md": "a link out of the workspace",
        "memory/outside": "a link out of the workspace",
        "memory/up": "a link to what is read under its own name",
    }


def test_nothing_is_waited_for(short_tmp: Path) -> None:
    """A pipe and a socket are told."""
    write(short_tmp, {"memory/a.md": b"a"})
    os.mkfifo(short_tmp / "memory" / "pipe.md")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short_tmp / "memory" / "socket.md"))
        found = walk(short_tmp)
    assert paths(found) == ["memory/a.md"]
    assert reasons(found) == {"memory/pipe.md": "no plain file", "memory/socket.md": "no plain file"}
    for place in (short_tmp / "memory" / "pipe.md", Path("/dev/null")):
        with pytest.raises(Unreadable, match="no plain file"):
            read(place)


def test_names_are_kept_as_they_are(tmp_path: Path) -> None:
    """Spaces, emoji, line ends, and bytes that are no UTF-8 (where the disk takes them)."""
    names = [b"sp ace.md", "🚀.md".encode(), b"a\nb.md", b"\xff\xfe.md"]
    (tmp_path / "memory").mkdir()
    for name in list(names):
        try:
            (tmp_path / "memory" / os.fsdecode(name)).write_bytes(b"x")
        except OSError:  # as on macOS
            names.remove(name)
    assert [file.path for file in walk(tmp_path).files] == sorted(b"memory/" + name for name in names)


@only_root
def test_what_may_not_be_read_is_told(short_tmp: Path) -> None:
    """Files and folders, each with the system's reason."""
    short_tmp.chmod(0o755)
    folder = write(short_tmp / "w", {"memory/a.md": b"a", "memory/no.md": b"x", "memory/shut/b.md": b"b"})
    (folder / "memory" / "no.md").chmod(0)
    (folder / "memory" / "shut").chmod(0)
    code = """
import sys
from pathlib import Path
from eventd.migration.files import Unreadable, read
from eventd.migration.walk import walk
found = walk(Path(sys.argv[1]))
for file in found.files:
    try:
        print(file.path, read(file.place).data)
    except Unreadable as error:
        print(file.path, error)
for skipped in found.skipped:
    print(skipped.path, skipped.reason, skipped.lost)
"""
    assert run_as(code, folder, uid=FIRST_USER).splitlines() == [
        "b'memory/a.md' b'a'",
        "b'memory/no.md' cannot be read: Permission denied",
        "b'memory/shut' cannot be read: Permission denied True",
    ]


def test_a_file_that_does_not_keep_still_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read again and again, and given up: half of two versions is none. It need not end, either."""
    place = write(tmp_path, {"a.md": b"x" * 100}) / "a.md"

    class Growing:
        """The system, while somebody writes faster than is read."""

        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

        def read(self, fd: int, size: int) -> bytes:
            with place.open("ab") as file:
                file.write(b"more")
            return os.read(fd, size)

    with monkeypatch.context() as patch:
        patch.setattr(files, "os", Growing())
        with pytest.raises(Unreadable, match="changes while it is read"):
            read(place)
    assert read(place).data == place.read_bytes()


def test_a_file_that_is_too_large_is_told(tmp_path: Path) -> None:
    """Before any of it is in memory."""
    place = tmp_path / "a.md"
    with place.open("wb") as file:
        file.truncate(files.MAX_FILE + 1)
    with pytest.raises(Unreadable, match="larger than 256 MiB"):
        read(place)


def test_deep_folders_end_somewhere(tmp_path: Path) -> None:
    """They are told where they are not looked into any more."""
    place = tmp_path / "memory"
    for _ in range(100):
        place /= "d"
    place.mkdir(parents=True)
    found = walk(tmp_path)
    assert [skipped.lost for skipped in found.skipped] == [True]
