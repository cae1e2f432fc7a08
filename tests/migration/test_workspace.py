"""Workspaces are found where the program has put them under any of its names, and each has its agent."""

from pathlib import Path

import pytest

from eventd.migration import tolerant
from eventd.migration.workspace import Workspace, find
from support.workspace import write

MEMORY = {"MEMORY.md": b"# M\n"}


def found(home: Path, **environ: str) -> list[tuple[str, str | None]]:
    return [(str(w.folder.relative_to(home)), w.agent) for w in find(home, environ).found]


@pytest.mark.parametrize("root", [".openclaw", ".clawdbot", ".moltbot"])
def test_the_default_places(tmp_path: Path, root: str) -> None:
    """The main workspace, and those that are named after an agent; only where there are memories."""
    write(tmp_path / root / "workspace", {"memory/2026-01-01.md": b"x"})
    write(tmp_path / root / "workspace-work", MEMORY)
    write(tmp_path / root / "workspace-empty", {"README.md": b"x"})
    write(tmp_path / root / "workspace-a:b", MEMORY)
    assert found(tmp_path) == [
        (f"{root}/workspace", None),
        (f"{root}/workspace-a:b", None),
        (f"{root}/workspace-work", "work"),
    ]


def test_other_places(tmp_path: Path) -> None:
    """`$OPENCLAW_STATE_DIR`, and the folder of the first version."""
    write(tmp_path / "clawd", MEMORY)
    write(tmp_path / "state" / "workspace", {"life/index.md": b"x"})
    assert found(tmp_path, OPENCLAW_STATE_DIR="~/state") == [("state/workspace", None), ("clawd", None)]


def test_the_configuration_names_workspaces(tmp_path: Path) -> None:
    """As people write it: with comments, single quotes, bare keys and commas too many. Each counts once."""
    config = b"""{
      // where we live
      agents: {
        defaults: { workspace: '~/notes', },
        list: [{ "id": "ops", workspace: "~/ops" }, { id: "main" }, /* gone */ { id: 7, workspace: "~/no" }],
      },
    }"""
    write(tmp_path, {".openclaw/openclaw.json": config, "notes/MEMORY.md": b"x", "ops/memory.md": b"x"})
    (tmp_path / ".openclaw" / "workspace").symlink_to(tmp_path / "notes")
    assert found(tmp_path) == [("ops", "ops"), ("notes", None)]


def test_a_configuration_that_is_none_hides_nothing(tmp_path: Path) -> None:
    """The usual places are looked at all the same."""
    write(tmp_path, {".openclaw/openclaw.json": b"{ agents: [", ".openclaw/workspace/MEMORY.md": b"x"})
    assert found(tmp_path) == [(".openclaw/workspace", None)]


def test_nothing_found_says_where_it_was_looked(tmp_path: Path) -> None:
    """Each place, with what is there."""
    write(tmp_path, {".openclaw/workspace/x.txt": b"", "clawd": b"a file"})
    search = find(tmp_path, {})
    assert search.found == []
    said = {str(path.relative_to(tmp_path)): state for path, state in search.places}
    assert said[".openclaw/workspace"] == "has none of memory, MEMORY.md, memory.md, life"
    assert said[".clawdbot/workspace"] == "not there"
    assert said["clawd"] == "no folder"


def test_a_workspace_is_a_value() -> None:
    """Two of the same folder are the same."""
    assert Workspace(Path("/x")) == Workspace(Path("/x"), None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "// no comment", "b": [1, 2,],}', {"a": "// no comment", "b": [1, 2]}),
        ("{a: 'it\\'s', /* x */ b: true}", {"a": "it's", "b": True}),
        ("[1.5e3, -2, null]", [1500.0, -2, None]),
    ],
)
def test_tolerant_json(text: str, value: object) -> None:
    """What people write is read as they mean it."""
    assert tolerant.decode(text) == value


@pytest.mark.parametrize("text", ["", "{", "{a: }", "[" * 100_000, "a: 1"])
def test_what_is_no_json_is_refused(text: str) -> None:
    """With one kind of error, whatever it is."""
    with pytest.raises(ValueError, match=r".") as caught:
        tolerant.decode(text) if text != "a: 1" else tolerant.decode('{"a" 1}')
    assert str(caught.value)
