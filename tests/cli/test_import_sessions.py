"""`eventd import sessions` as a person sees it: what is found, what is left out and why, and how it ends."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.support import Ended, Eventd, Terminal
from eventd_ipc.blocking import connect
from sources.support import START, ClaudeCode, Codex, OpenClaw
from support.daemon import Daemon

DAY = 86_400
SECRET = "ghp_" + "a1B2" * 9


@pytest.fixture(scope="module")
def shared() -> Iterator[Daemon]:
    """A daemon for all tests of this file; each has sessions of its own."""
    folder = Path(tempfile.mkdtemp(prefix="ev", dir="/tmp"))
    try:
        with Daemon(folder, {}) as daemon:
            yield daemon
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Home:
    """A person's home, and the command with it."""

    def __init__(self, path: Path, daemon: Daemon | None) -> None:
        self.path = path
        self.daemon = daemon
        self.socket = daemon.socket if daemon is not None else path / "nobody.sock"

    def run(self, *args: str | Path, **environ: str) -> Ended:
        """Import sessions."""
        eventd = Eventd(["--socket", self.socket])
        return eventd("import", "sessions", *args, stdin=b"", **{"HOME": str(self.path), **environ})

    def figures(self, *args: str | Path, code: int = 0, **environ: str) -> dict[str, dict[str, Any]]:
        """Import sessions; return what became of them, by source."""
        ended = self.run("--json", *args, **environ)
        assert ended.code == code, ended.err
        return {source["source"]: source for source in ended.objects}

    def stored(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return events of the daemon, oldest first."""
        with connect("test", socket=self.socket) as client:
            found = client.query(agent="*", order="oldest", **wanted)
            return [json.loads(event.body) for event in found]


@pytest.fixture
def home(tmp_path: Path, shared: Daemon) -> Home:
    return Home(tmp_path, shared)


def of(home: Home, name: str) -> list[Any]:
    """Return what is stored of a session of Claude Code."""
    return [event["payload"]["data"] for event in home.stored(session=f"agent:claude-code:{name}")]


def test_nothing_found_is_loud(tmp_path: Path) -> None:
    """It says where it was looked, and fails; no daemon is needed for that."""
    ended = Home(tmp_path, None).run()
    assert ended.code == 1
    assert ended.err.startswith("error: 0 sessions found\n")
    for place in (".claude/projects", ".codex/sessions", ".openclaw/agents", ".clawdbot/agents"):
        assert f"{tmp_path}/{place}" in ended.err
    ended = Home(tmp_path, None).run("--from", "codex", CODEX_HOME="/nowhere")
    assert "/nowhere/sessions" in ended.err
    assert "openclaw" not in ended.err


def test_a_dry_run_needs_no_daemon_and_stores_nothing(tmp_path: Path) -> None:
    """All counts as new then; without one, a real run cannot be done."""
    ClaudeCode("dry").ask("x").say("y").write(tmp_path)
    home = Home(tmp_path, None)
    ended = home.run("--dry-run")
    assert ended.code == 0
    assert [line.split() for line in ended.lines[:2]][1] == ["claude-code", "1", "3", "0", "0", "0"]
    assert "no daemon answers" in ended.err
    assert home.run().code == 3


def test_a_dry_run_says_what_a_real_one_does(home: Home) -> None:
    """And the second real one finds all of it there already."""
    ClaudeCode("dry-1").ask("x").use("dry-t", "Bash", {}, "y").write(home.path)
    dry = home.figures("--dry-run")["claude-code"]
    assert (dry["added"], dry["dryRun"]) == (4, True)
    assert of(home, "dry-1") == []
    assert home.figures()["claude-code"]["added"] == 4
    again = home.figures()["claude-code"]
    assert (again["added"], again["known"], again["sessions"]) == (0, 4, 1)
    assert len(of(home, "dry-1")) == 4


def test_the_table_is_for_people(home: Home) -> None:
    """A row a source, and the reasons below it."""
    ClaudeCode("table").ask("x").write(home.path)
    Codex("table").ask("x").write(home.path)
    (home.path / ".codex" / "history.jsonl").write_text("{}\n")
    ended = home.run()
    assert ended.lines[0].split() == [
        "source", "sessions", "added", "already", "there", "forgotten", "left", "out",
    ]  # fmt: skip
    assert [line.split()[0] for line in ended.lines[1:]] == ["claude-code", "codex", "openclaw"]
    assert "codex: 1 not read: holds the prompts of the rollouts once more" in ended.err.splitlines()


def test_a_bar_is_drawn_on_a_terminal_only(home: Home) -> None:
    """And the table is there all the same."""
    ClaudeCode("bar").ask("x").write(home.path)
    with Terminal() as terminal:
        eventd = Eventd(["--socket", home.socket])
        os.environ["HOME"], before = str(home.path), os.environ["HOME"]
        try:
            with eventd.start("import", "sessions", stderr=terminal.fd) as running:
                ended = running.end()
        finally:
            os.environ["HOME"] = before
        drawn = terminal.close()
    assert ended.code == 0
    assert "\x1b[" in drawn
    assert "claude-code" in ended.out.decode()


def test_only_what_is_wanted_is_stored(home: Home) -> None:
    """By source, project, agent and time; what is left out is counted, with its reason."""
    shop, api = home.path / "shop", home.path / "api"
    ClaudeCode("wanted", cwd=str(shop / "web")).ask("x").write(home.path)
    ClaudeCode("other", cwd=str(api)).ask("x").ask("y").write(home.path)
    OpenClaw("of-main").ask("x").write(home.path)
    OpenClaw("of-helper").ask("x").write(home.path, agent="helper")
    assert set(home.figures("--from", "codex", "--from", "openclaw", "--dry-run")) == {"codex", "openclaw"}
    assert home.figures("--agent", "helper", "--dry-run")["openclaw"]["passedOver"] == {"of another agent": 1}
    found = home.figures("--project", shop, "--from", "claude-code")["claude-code"]
    assert (found["added"], found["leftOut"]) == (2, {"of another project": 3})
    assert of(home, "other") == []
    later = home.figures("--since", str((START + 1) * 1000), "--from", "claude-code")["claude-code"]
    assert (later["added"], later["leftOut"]) == (1, {"before --since": 4})
    nothing = home.run("--since", "2030-01-01")
    assert nothing.code == 1
    assert "nothing of what was found" in nothing.err


def test_sessions_can_become_another_agents(home: Home) -> None:
    """As `$EVENTD_AGENT` has hooks do it."""
    ClaudeCode("named").ask("x").write(home.path)
    assert home.figures("--as", "anna")["claude-code"]["added"] == 2
    assert home.figures(EVENTD_AGENT="anna")["claude-code"]["known"] == 2
    assert {event["agent"] for event in home.stored(session="agent:anna:named")} == {"anna"}
    assert home.run("--as", "x" * 65).code == 2


def test_the_person_stays_in_charge(home: Home) -> None:
    """Private parts, ignored projects and sessions that are turned off are not stored; secrets are marked."""
    ignored = home.path / "secret-project"
    ignored.mkdir()
    (ignored / ".eventd-ignore").touch()
    ClaudeCode("ignored", cwd=str(ignored / "below")).ask("x").write(home.path)
    session = ClaudeCode("private").ask("one <private>two</private> three").ask("<private>all</private>")
    session.use("priv-t", "Bash", {"command": f"echo {SECRET}"}, f"token is {SECRET}").write(home.path)
    ClaudeCode("off").ask("x").write(home.path)
    state = home.path / ".local" / "state" / "eventd" / "off"
    state.mkdir(parents=True)
    (state / "claude-code-off").touch()
    found = home.figures()["claude-code"]
    assert found["leftOut"] == {"of a project with .eventd-ignore": 2}
    assert found["passedOver"] == {"turned off (`eventd off`)": 1}
    said = of(home, "private")
    assert [data.get("text") for data in said] == [None, "one [private] three", None, None]
    assert said[2]["args"] == {"command": "echo [redacted:github-token]"}
    assert said[3]["result"] == "token is [redacted:github-token]"
    assert "ghp_" not in json.dumps(home.stored())


def test_one_broken_session_does_not_stop_the_others(home: Home) -> None:
    """It is named, the exit code says so, and the ones behind it are stored."""
    broken = ClaudeCode("a-broken").ask("x")
    path = broken.write(home.path)
    path.rename(path.with_name("a-broken.jsonl.zst"))
    torn = ClaudeCode("b-torn").ask("x").write(home.path)
    torn.write_bytes(b'{"type": 7}\n' + torn.read_bytes())
    ClaudeCode("c-whole").ask("x").write(home.path)
    (home.path / ".openclaw/agents/main/agent").mkdir(parents=True)
    (home.path / ".openclaw/agents/main/agent/openclaw-agent.sqlite").write_bytes(b"none" * 999)
    figures = home.figures(code=4)
    found = figures["claude-code"]
    assert (found["added"], found["sessions"]) == (4, 2)
    assert found["notUnderstood"] == {"records not understood": 1}
    assert [failed["path"] for failed in found["failed"]] == [str(path.with_name("a-broken.jsonl.zst"))]
    assert "database" in figures["openclaw"]["failed"][0]["reason"]


def test_what_is_too_large_is_cut_with_its_size(home: Home) -> None:
    """Both ends are kept, and where something is missing it says how much; nothing is refused."""
    session = ClaudeCode("large").ask("x").use("large-t", "Bash", {"x": 1}, "begin" + "y" * 3_000_000 + "end")
    session.use("large-u", "Read", {"lines": ["z" * 2000] * 3000}, "ok").write(home.path)
    assert home.figures()["claude-code"]["added"] == 6
    result = of(home, "large")[3]["result"]
    assert result.startswith("begin")
    assert result.endswith("end")
    assert "of 3000008 characters left out here" in result
    assert len(result) < 100_000


def test_thinking_is_stored_when_asked_for(home: Home) -> None:
    """And by default it is not."""
    session = ClaudeCode("thinking").ask("x")
    session.line("assistant", [{"type": "thinking", "thinking": "hm", "signature": "s"}])
    session.write(home.path)
    assert home.figures()["claude-code"]["added"] == 2
    assert home.figures("--thinking")["claude-code"]["added"] == 1


def test_help_names_the_word(home: Home) -> None:
    """In the help of `import`; and a file of that name is still a file."""
    eventd = Eventd(["--socket", home.socket])
    assert "eventd import sessions" in eventd("import", "--help").out.decode()
    assert "Usage: eventd import sessions" in home.run("--help").out.decode()
    assert eventd("import", "x.ndjson", "sessions").code == 2
