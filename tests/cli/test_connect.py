"""`eventd connect` as people and programs see it: what would be done, what was done, what is left to do."""

import json
import os
from pathlib import Path

import pytest

from cli.support import Ended, Eventd, Terminal

CLAUDE = b'{\n  "model": "opus"\n}\n'


class Home:
    """A home with tools, and the command in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (".claude", ".codex", ".openclaw"):
            (folder / name).mkdir()
        self.settings = folder / ".claude" / "settings.json"
        self.settings.write_bytes(CLAUDE)

    def __call__(self, *args: str) -> Ended:
        return Eventd()("connect", *args, HOME=str(self.folder), PATH="/usr/bin:/bin")


@pytest.fixture
def home(short_tmp: Path) -> Home:
    return Home(short_tmp)


def test_the_change_is_shown_made_and_undone(home: Home) -> None:
    """As a diff on standard output; what to do, and where the copy is, on standard error."""
    dry = home("claude-code", "--dry-run")
    assert (dry.code, home.settings.read_bytes()) == (0, CLAUDE)
    assert '+  "hooks": {' in dry.lines
    assert '-  "model": "opus"' in dry.lines
    assert "nothing was changed" in dry.err
    ended = home("claude-code")
    assert (ended.code, ended.out) == (0, dry.out)
    assert f"Claude Code is connected: {home.settings}" in ended.err
    assert "a copy from before: " in ended.err
    assert "still to do, 1: start a new session" in ended.err
    assert "eventd is not running" in ended.err  # the hooks themselves would never say so
    again = home("claude-code")
    assert (again.code, again.out) == (0, b"")
    assert "is connected already" in again.err
    undone = home("--undo")
    assert undone.code == 0
    assert home.settings.read_bytes() == CLAUDE
    nothing = home("--undo")
    assert (nothing.code, nothing.out, nothing.err) == (0, b"", "nothing is connected\n")


def test_programs_get_an_object_for_each_change(home: Home) -> None:
    """With the same facts."""
    [change] = home("codex", "--json").objects
    file = home.folder / ".codex" / "hooks.json"
    assert (change["tool"], change["scope"], change["file"]) == ("codex", "user", str(file))
    assert (change["changed"], change["done"], change["backup"]) == (True, True, None)
    assert "hook codex" in change["diff"]
    assert "/hooks" in change["todo"][0]
    listed = {(each["tool"], each["scope"]): each for each in home("--list", "--json").objects}
    assert [key for key, each in listed.items() if each["connected"]] == [("codex", "user")]
    assert listed["claude-code", "user"]["found"]
    [undone] = home("--undo", "codex", "--json").objects
    assert (undone["changed"], undone["done"]) == (True, True)
    assert not file.exists()


def test_the_hook_that_is_connected_runs(home: Home) -> None:
    """Its command line, in a shell, by itself."""
    home("claude-code")
    hook = json.loads(home.settings.read_text())["hooks"]["SessionStart"][0]["hooks"][0]["command"]
    assert os.system(f"echo {{}} | HOME={home.folder} EVENTD_OFF=1 sh -c {json.dumps(hook)}") == 0  # noqa: S605


def test_all_tools_and_where_they_are(home: Home) -> None:
    """A line each; also where nothing is there, and then it is said."""
    home("openclaw", "--no-grant")
    lines = home("--list").lines
    assert [line.split()[:3] for line in lines[:2]] == [
        ["claude-code", "user", "not"],
        ["codex", "user", "not"],
    ]
    assert lines[2].split()[:3] == ["openclaw", "user", "connected"]
    home("--undo")
    for name in (".claude", ".codex", ".openclaw"):
        (home.folder / name).rename(home.folder / f"was{name}")
    ended = home("--list")
    assert "none of claude-code, codex, openclaw was found" in ended.err
    ended = home("codex")
    assert (ended.code, "Codex was not found" in ended.err) == (1, True)


def test_a_file_that_is_no_json_is_named_and_left(home: Home) -> None:
    """Exit code 1, with line and column, and a hint."""
    home.settings.write_bytes(b'{"model": \n}')
    ended = home("claude-code")
    assert (ended.code, ended.out) == (1, b"")
    assert f"error: {home.settings}: line 2, column 1: a value is missing" in ended.err
    assert "hint: mend the file" in ended.err
    assert home.settings.read_bytes() == b'{"model": \n}'


@pytest.mark.parametrize(("answer", "granted"), [("y", True), ("n", False)])
def test_a_person_is_asked_for_the_grant(
    home: Home, monkeypatch: pytest.MonkeyPatch, answer: str, granted: bool
) -> None:
    """Nobody else can give it; without a person it takes --grant."""
    file = home.folder / ".openclaw" / "openclaw.json"
    monkeypatch.setenv("HOME", str(home.folder))
    with (
        Terminal() as terminal,
        Eventd().start("connect", "openclaw", stdin=terminal.fd, stderr=terminal.fd) as run,
    ):
        terminal.wait_for("[y/N]")
        terminal.type(f"{answer}\n")
        assert run.end().code == 0
    assert ("allowConversationAccess" in file.read_text()) is granted
    home("openclaw", "--grant")
    assert "allowConversationAccess" in file.read_text()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["vim"],
        ["--undo", "--list"],
        ["codex", "--grant"],
        ["codex", "--list"],
    ],
    ids=["nothing", "unknown", "both", "no grant", "list of one"],
)
def test_options_that_make_no_sense(home: Home, words: list[str]) -> None:
    """Are refused before anything is looked at."""
    ended = home(*words)
    assert (ended.code, ended.out) == (2, b"")
    assert home.settings.read_bytes() == CLAUDE
