"""Connecting changes nothing but what it has to, and undoing leaves no trace."""

import json
import os
import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from connecting.documents import texts
from connecting.person import NAMES, PROGRAM, Person
from connecting.samples import ALL, CLAUDE, IDS, OPENCLAW
from eventd.connecting.claude_code import EVENTS
from eventd.connecting.connector import Connector
from eventd.connecting.jsonedit import WrongShape, read
from eventd.connecting.model import CannotConnect, Program, Scope, Wish
from eventd.connecting.records import Record
from support.disks import NoDisk, fill, small_disk
from support.users import FIRST_USER, only_root

OTHER = Program(["/old/venv/bin/eventd"])
TOOLS = list(NAMES)


@pytest.mark.parametrize(("tool", "name", "data"), ALL, ids=IDS)
def test_undone_it_is_the_same_byte_for_byte(person: Person, tool: str, name: str, data: bytes) -> None:
    """Connected once, twice, with another eventd: whatever was done in between."""
    file = person.file(tool)
    file.write_bytes(data)
    person.connect(tool)
    assert file.read_bytes() != data
    assert not person.connect(tool).is_needed
    person.connect(tool, program=OTHER, grant=tool == "openclaw")
    person.undo(tool)
    assert file.read_bytes() == data
    assert person.undo() == []
    assert not list(person.state.glob("backups/*"))  # nobody needs them


@pytest.mark.parametrize(("tool", "name", "data"), ALL, ids=IDS)
def test_what_was_there_stays(person: Person, tool: str, name: str, data: bytes) -> None:
    """Every value of the old file is in the new one, in its order; hooks of others before ours."""
    file = person.file(tool)
    file.write_bytes(data)
    person.connect(tool)
    before = read(data.decode().strip("\ufeff \t\r\n") or "{}")
    after = read(file.read_text(encoding="utf-8"))
    assert _holds(after, before) or name == "ours before"
    assert name != "CRLF" or b"\n" not in file.read_bytes().replace(b"\r\n", b"")


@pytest.mark.parametrize("tool", TOOLS)
def test_a_file_that_was_not_there_is_gone_again(person: Person, tool: str) -> None:
    """And is for its user alone meanwhile."""
    file = person.file(tool)
    person.connect(tool)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    person.undo(tool)
    assert not file.exists()
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize(("tool", "name", "data"), ALL, ids=IDS)
def test_a_change_of_somebody_else_survives_undoing(
    person: Person, tool: str, name: str, data: bytes
) -> None:
    """Then only what is ours is taken out."""
    file = person.file(tool)
    file.write_bytes(data)
    person.connect(tool)
    file.write_text(json.dumps(read(file.read_text(encoding="utf-8")) | {"theirs": [1]}, indent=2))
    person.undo(tool)
    assert read(file.read_text()) == read(data.decode().strip("\ufeff \t\r\n") or "{}") | {"theirs": [1]}


@settings(max_examples=300 if os.environ.get("EVENTD_FAULTS") == "full" else 15)
@given(texts())
def test_any_document_is_the_same_afterwards(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Or is refused, and left alone; also where all that we know of it is lost."""
    person = Person(tmp_path_factory.mktemp("any"))
    for tool in TOOLS:
        file = person.file(tool)
        file.write_bytes(text.encode())
        try:
            person.connect(tool)
        except (CannotConnect, WrongShape):
            assert file.read_bytes() == text.encode()
            continue
        person.undo(tool)
        assert file.read_bytes() == text.encode()
        person.connect(tool)
        (person.state / "connections.json").unlink()
        person.undo(tool)
        left = read(file.read_text(encoding="utf-8"))
        assert {**read(text), "hooks": 0, "plugins": 0} == {**left, "hooks": 0, "plugins": 0}
        file.unlink()


def test_each_event_has_our_command_behind_those_of_others(person: Person) -> None:
    """Codex knows an approved hook by its place: nobody else's may move."""
    file = person.file("claude-code")
    file.write_bytes(CLAUDE)
    change = person.connect("claude-code")
    events = json.loads(file.read_text())["hooks"]
    command = "/opt/eventd/bin/eventd hook claude-code"
    ours = {"hooks": [{"type": "command", "command": command, "timeout": 5}]}
    assert set(events) == set(EVENTS)
    assert all(groups[-1] == ours for groups in events.values())
    assert events["PostToolUse"][0] == json.loads(CLAUDE)["hooks"]["PostToolUse"][0]
    assert "1 other hook for the same events stays" in change.advice.notes


def test_another_eventd_gives_way_and_is_named(person: Person) -> None:
    """What somebody has changed about its hooks stays; where it stood twice it stands once."""
    file = person.file("claude-code")
    person.connect("claude-code", program=OTHER)
    settings = json.loads(file.read_text())
    settings["hooks"]["Stop"][0]["hooks"][0]["timeout"] = 60
    settings["hooks"]["PreToolUse"] *= 2
    file.write_text(json.dumps(settings))
    change = person.connect("claude-code")
    settings = json.loads(file.read_text())
    assert settings["hooks"]["Stop"][0]["hooks"][0] == {
        "type": "command",
        "command": "/opt/eventd/bin/eventd hook claude-code",
        "timeout": 60,
    }
    assert len(settings["hooks"]["PreToolUse"]) == 1
    assert (
        "it was connected with another eventd: /old/venv/bin/eventd hook claude-code" in change.advice.notes
    )
    assert b"/old/venv" not in file.read_bytes()


@pytest.mark.parametrize(
    "command",
    [
        "my-eventd hook claude-code",
        "echo eventd hook claude-code",
        "rm -rf /tmp/x; eventd hook claude-code",
        "sh -c 'eventd hook claude-code'",
        "eventd hook claude-code --mine",
        "eventd hook codex",
        "eventd hook 'claude-code",
    ],
)
def test_what_only_looks_like_ours_is_somebody_elses(person: Person, command: str) -> None:
    """It stays, and is not what makes the tool connected; doctor runs no such thing."""
    theirs = {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": command}]}]}}
    file = person.file("claude-code")
    file.write_text(json.dumps(theirs))
    assert not any(connection.commands for connection in person.connector.connections())
    person.connect("claude-code")
    assert json.loads(file.read_text())["hooks"]["Stop"][0] == theirs["hooks"]["Stop"][0]
    (person.state / "connections.json").unlink()
    person.undo()
    assert json.loads(file.read_text()) == theirs


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["/opt/my tools/eventd"], "'/opt/my tools/eventd' hook codex"),
        (["/usr/bin/python3", "-m", "eventd"], "/usr/bin/python3 -m eventd hook codex"),
    ],
)
def test_the_command_line_is_for_a_shell(person: Person, words: list[str], command: str) -> None:
    """And is known again, with or without a socket."""
    person.file("codex")
    for socket in (None, Path("/run/my sockets/eventd.sock")):
        change = person.connect("codex", program=Program(words, socket))
        variable = "env 'EVENTD_SOCKET=/run/my sockets/eventd.sock' " if socket else ""
        assert change.after is not None
        assert change.tool.commands(change.after.decode()) == [variable + command]
    person.undo()
    assert not person.file("codex").exists()


def test_a_project_of_its_own(person: Person) -> None:
    """Beside the user; each can be undone alone, and no folder of ours stays."""
    person.file("claude-code")
    person.connect("claude-code", Scope.PROJECT)
    local = person.project / ".claude" / "settings.local.json"
    assert local.exists()
    change = person.connect("claude-code")
    assert any("as well" in note for note in change.advice.notes)
    person.undo("claude-code", Scope.PROJECT)
    assert not local.parent.exists()
    assert person.file("claude-code").exists()
    person.file("openclaw")
    with pytest.raises(CannotConnect, match="not for a project"):
        person.connect("openclaw", Scope.PROJECT)


def test_other_projects_are_undone_too(person: Person) -> None:
    """From wherever one is: they were noted."""
    person.file("codex")
    person.connect("codex", Scope.PROJECT)
    file = person.project / ".codex" / "hooks.json"
    person.project = person.home / "elsewhere"
    person.undo()
    assert not file.exists()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"hooks": {}', r"settings\.json: line 1, column 13: a comma or } is missing"),
        (b'{"a": 1}\n{"b": 2}\n', "line 2, column 1: something stands behind the end"),
        (b"[]", "it holds no object"),
        (b'{"hooks": []}', "its `hooks` is not an object"),
        (b'{"hooks": {"Stop": {}}}', r"its `hooks\.Stop` is not a list"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
    ],
    ids=["torn", "two documents", "a list", "hooks are a list", "an event is an object", "UTF-16"],
)
def test_a_file_that_is_not_understood_is_left_alone(person: Person, data: bytes, says: str) -> None:
    """With a message that names file and place."""
    file = person.file("claude-code")
    file.write_bytes(data)
    with pytest.raises(CannotConnect, match=says):
        person.connect("claude-code")
    assert file.read_bytes() == data
    assert person.undo() == []


@pytest.mark.parametrize("tool", TOOLS)
def test_a_read_only_file_is_meant_to_be_one(person: Person, tool: str) -> None:
    """Also for root, who could; it can still be looked at what would be done. The same holds for undoing."""
    file = person.file(tool)
    file.write_bytes(b"{}")
    file.chmod(0o444)
    with pytest.raises(CannotConnect, match="is read-only"):
        person.connect(tool)
    assert file.read_bytes() == b"{}"
    file.chmod(0o644)
    person.connect(tool)
    connected = file.read_bytes()
    file.chmod(0o444)
    with pytest.raises(CannotConnect, match="is read-only"):
        person.undo()
    assert file.read_bytes() == connected
    file.chmod(0o600)
    person.undo()
    assert file.read_bytes() == b"{}"


def test_what_a_link_points_to_is_changed(person: Person) -> None:
    """As where settings live in a repository of dotfiles; the link stays, so does the mode."""
    real = person.home / "dotfiles" / "claude.json"
    real.parent.mkdir()
    real.write_bytes(CLAUDE)
    real.chmod(0o640)
    file = person.file("claude-code")
    file.symlink_to(real)
    person.connect("claude-code")
    assert file.is_symlink()
    assert b"eventd hook" in real.read_bytes()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    person.undo()
    assert file.is_symlink()
    assert real.read_bytes() == CLAUDE
    real.unlink()
    with pytest.raises(CannotConnect, match="which is not there"):
        person.connect("claude-code")


@only_root
def test_the_owner_stays(person: Person) -> None:
    """As where root connects the tool of somebody else."""
    file = person.file("codex")
    file.write_bytes(b"{}")
    os.chown(file, FIRST_USER, FIRST_USER)
    person.connect("codex")
    assert (file.stat().st_uid, file.stat().st_gid) == (FIRST_USER, FIRST_USER)


def test_a_change_at_the_same_time_is_not_lost(person: Person) -> None:
    """The tool itself writes its file, too."""
    file = person.file("claude-code")
    file.write_bytes(b"{}")
    change = person.connector.plan("claude-code", Scope.USER, Wish(PROGRAM))
    file.write_bytes(b'{"model": "new"}')
    with pytest.raises(CannotConnect, match="changed by somebody else"):
        person.connector.make(change, Wish(PROGRAM))
    assert file.read_bytes() == b'{"model": "new"}'
    assert [path.name for path in file.parent.iterdir()] == ["settings.json"]


def test_many_at_once_know_of_each_other(person: Person) -> None:
    """Each project is noted, so each is undone."""
    person.file("codex")
    projects = [person.home / f"project{number}" for number in range(8)]

    def connect(project: Path) -> None:
        project.mkdir()
        other = Connector(
            replace(person.connector.around, project=project), person.state, person.home / "share"
        )
        wish = Wish(PROGRAM)
        other.make(other.plan("codex", Scope.PROJECT, wish), wish)

    with ThreadPoolExecutor(len(projects)) as pool:
        list(pool.map(connect, projects))
    assert len(person.undo()) == len(projects)
    assert not [path for project in projects for path in project.iterdir()]


def test_a_full_disk_leaves_everything_as_it_was(person: Person, tmp_path: Path) -> None:
    """Nothing half written, nothing left behind; with room again it works. The same holds for undoing."""
    try:
        with small_disk(tmp_path / "disk") as disk:
            real = disk / "settings.json"
            real.write_bytes(CLAUDE)
            person.file("claude-code").symlink_to(real)
            filler = fill(disk)
            with pytest.raises(OSError, match="No space left"):
                person.connect("claude-code")
            assert real.read_bytes() == CLAUDE
            assert sorted(path.name for path in disk.iterdir()) == ["filler", "settings.json"]
            filler.unlink()
            person.connect("claude-code")
            connected = real.read_bytes()
            filler = fill(disk)
            with pytest.raises(OSError, match="No space left"):
                person.undo()
            assert real.read_bytes() == connected
            filler.unlink()
            person.undo()
            assert real.read_bytes() == CLAUDE
    except NoDisk as error:
        pytest.skip(str(error))


def test_a_tool_that_is_not_there(person: Person) -> None:
    """Is not made up."""
    with pytest.raises(CannotConnect, match="Codex was not found"):
        person.connect("codex")
    assert not (person.home / ".codex").exists()


def test_variables_say_where_tools_are(person: Person) -> None:
    """As the tools have them; another folder that is there is told."""
    person.file("claude-code").write_bytes(b"{}")
    folder = person.home / "work"
    folder.mkdir()
    person.environ |= {
        "CLAUDE_CONFIG_DIR": str(folder),
        "CODEX_HOME": str(folder),
        "OPENCLAW_CONFIG_PATH": str(folder / "my.json"),
    }
    (folder / "my.json").write_text("{}")
    change = person.connect("claude-code")
    person.connect("codex")
    person.connect("openclaw")
    assert {path.name for path in folder.iterdir()} == {"settings.json", "hooks.json", "my.json"}
    assert any("another folder" in note for note in change.advice.notes)
    assert person.file("claude-code").read_bytes() == b"{}"


def test_openclaw_of_an_older_name(person: Person) -> None:
    """Is found where it is; the newest name counts first, and the others are told."""
    old = person.home / ".clawdbot" / "clawdbot.json"
    old.parent.mkdir()
    old.write_text("{}")
    assert person.connect("openclaw").file == old
    person.undo()
    person.file("openclaw").write_text("{}")
    change = person.connect("openclaw")
    assert change.file == person.file("openclaw")
    assert any(".clawdbot" in note for note in change.advice.notes)


def test_openclaw_gets_the_plugin_and_the_grant_that_its_owner_gives(person: Person) -> None:
    """The plugin is a copy that others cannot write to; it goes with the last connection."""
    file = person.file("openclaw")
    file.write_bytes(OPENCLAW)
    copy = person.home / "share" / "eventd" / "openclaw-plugin"
    change = person.connect("openclaw", program=Program(PROGRAM.words, Path("/s/eventd.sock")))
    plugins = read(file.read_text())["plugins"]
    assert plugins["load"]["paths"] == ["~/plugins/voice", str(copy)]
    assert plugins["allow"] == ["voice-call", "eventd"]
    assert plugins["entries"]["eventd"] == {"enabled": True, "config": {"socket": "/s/eventd.sock"}}
    assert any("--grant" in text for text in change.advice.todo)
    assert (copy / "openclaw.plugin.json").is_file()
    assert not any(path.stat().st_mode & 0o022 for path in (copy, *copy.rglob("*")))
    if node := shutil.which("node"):  # the copy is whole
        script = "import(process.argv[1]).then((module) => console.log(module.default.id))"
        words = [node, "--eval", script, str(copy / "index.js")]
        assert subprocess.run(words, capture_output=True, check=True).stdout == b"eventd\n"
    change = person.connect("openclaw", grant=True)
    assert read(file.read_text())["plugins"]["entries"]["eventd"]["hooks"] == {
        "allowConversationAccess": True
    }
    assert not any("--grant" in text for text in change.advice.todo)
    (copy / "index.js").write_text("old")
    assert not person.connect("openclaw").is_needed
    assert (copy / "index.js").read_text() != "old"
    person.undo()
    assert file.read_bytes() == OPENCLAW
    assert not copy.exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{plugins: {deny: ["eventd"]}}', "plugins.deny"),
        ('{plugins: {$include: "./p.json5"}}', "in another file"),
        ('{plugins: {load: {paths: "one"}}}', "plugins.load.paths is not a list"),
    ],
)
def test_what_openclaws_owner_does_not_want_or_keeps_elsewhere(person: Person, text: str, says: str) -> None:
    """Is not overruled."""
    file = person.file("openclaw")
    file.write_text(text)
    with pytest.raises(CannotConnect, match=says):
        person.connect("openclaw")
    assert file.read_text() == text


def test_a_copy_is_kept_for_oneself_alone(person: Person) -> None:
    """Settings hold keys; the records say what was connected."""
    person.file("claude-code").write_bytes(CLAUDE)
    person.connect("claude-code")
    [record] = person.connector.records.all()
    assert isinstance(record, Record)
    backup = person.connector.records.backup_path(record)
    assert backup is not None
    assert backup.read_bytes() == CLAUDE
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(backup.parent.stat().st_mode) == 0o700


def _holds(whole: object, part: object) -> bool:
    """Whether all of a value is in another one, at its place; lists may go on."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return [key for key in whole if key in part] == list(part) and all(
            _holds(whole[key], value) for key, value in part.items()
        )
    if isinstance(part, list) and isinstance(whole, list):
        return len(whole) >= len(part) and all(map(_holds, whole, part))
    return whole == part
