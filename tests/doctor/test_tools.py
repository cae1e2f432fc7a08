"""Agent tools: what keeps their events or their context away is found, with real hooks and a real daemon."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connecting.person import Person
from doctor.patient import bad, of, visit_to
from eventd.connecting import openclaw
from eventd.connecting.codex import identity
from eventd.connecting.hooks import ours
from eventd.connecting.model import Program
from eventd.doctor import spool
from eventd.doctor.firing import last_seen
from eventd.doctor.model import Findings, Level
from eventd.doctor.tools import Tools, examine_tools
from eventd_ipc.blocking import Client, connect
from eventd_ipc.builders import Run, custom, message_in
from support.daemon import Daemon
from support.nats import NatsServer

Standing = tuple[Daemon, NatsServer]
WORDS = [sys.executable, "-m", "eventd"]
MINUTE = 60  # seconds
SAID = "The offer for Anna is due on Friday."


class Owner(Person):
    """A person, their daemon, and the doctor that they call."""

    def __init__(self, folder: Path, daemon: Daemon) -> None:
        super().__init__(folder)
        self.daemon = daemon
        self.program = Program(WORDS, daemon.socket)

    def hook(self, tool: str, hook: str, session: str = "s1", **given: Any) -> str:
        """Call the hook that stands in the tool's file, as the tool does; return what it prints."""
        entry = next(iter(ours(json.loads(self.file(tool).read_text()), tool)))
        given |= {"hook_event_name": hook, "session_id": session, "cwd": str(self.project)}
        done = subprocess.run(
            ["/bin/sh", "-c", entry.command],
            input=json.dumps(given).encode(),
            capture_output=True,
            check=True,
        )
        assert done.stderr == b""
        return done.stdout.decode()

    def look(self, program: Program | None = None) -> Findings:
        """Let doctor look at the tools."""
        tools = Tools(self.connector, program or self.program)
        return examine_tools(tools, visit_to(self.daemon), self._reach)

    def _reach(self, agent: str | None) -> Client:
        return connect(agent or "main", socket=self.daemon.socket, patience=0)


@pytest.fixture
def owner(tmp_path: Path, standing: Standing, monkeypatch: pytest.MonkeyPatch) -> Owner:
    """Somebody with an agent of their own, so that tests do not meet each other's events."""
    owner = Owner(tmp_path, standing[0])
    monkeypatch.setenv("HOME", str(owner.home))
    monkeypatch.setenv("EVENTD_AGENT", f"agent-{tmp_path.name[-40:]}")
    return owner


@pytest.fixture
def claude(owner: Owner) -> Owner:
    """The same with Claude Code connected."""
    owner.file("claude-code").write_text("{}")
    owner.connect("claude-code", program=owner.program)
    return owner


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_nobody_has_any_tool(owner: Owner) -> None:
    """Then there is nothing to say."""
    assert owner.look() == []


def test_a_tool_that_is_not_connected(owner: Owner) -> None:
    """Is no trouble."""
    owner.file("codex")
    [found] = owner.look()
    assert (found.check, found.level, found.found) == ("tools.installed", Level.NOTE, "not connected")


def test_all_is_well(claude: Owner) -> None:
    """Before the first session, and after it; looking stores nothing and takes nothing from a session."""
    findings = claude.look()
    assert not list(bad(findings))
    assert "nothing to remember" in of(findings, "tools.context").found
    claude.hook("claude-code", "SessionStart", source="startup")
    claude.hook("claude-code", "UserPromptSubmit", prompt=SAID)
    before = claude.daemon.status()["outbox"]
    findings = claude.look()
    assert {f.check: f.level for f in findings} == dict.fromkeys(
        ("tools.installed", "tools.firing", "tools.context", "tools.spool"), Level.OK
    )
    assert "(UserPromptSubmit)" in of(findings, "tools.firing").found
    assert "would be handed" in of(findings, "tools.context").found
    assert claude.daemon.status()["outbox"]["accepted"] == before["accepted"]
    assert SAID in claude.hook("claude-code", "SessionStart", "s2", source="startup")


def test_somebody_has_taken_the_hooks_out(claude: Owner) -> None:
    """As a tool does that writes its settings anew."""
    claude.file("claude-code").write_text("{}")
    found = of(claude.look(), "tools.installed")
    assert (found.level, "has taken eventd out" in found.found) == (Level.PROBLEM, True)
    assert "eventd connect claude-code" in found.remedy


@pytest.mark.parametrize(
    ("change", "level", "says"),
    [
        (lambda s: s.update(disableAllHooks=True), Level.PROBLEM, "disableAllHooks is set"),
        (lambda s: s["hooks"].pop("Stop"), Level.WARNING, "not all that this eventd would have"),
    ],
    ids=["turned off", "an event is missing"],
)
def test_settings_that_keep_hooks_from_running(
    claude: Owner, change: Callable[[dict[str, Any]], object], level: Level, says: str
) -> None:
    """All of them, or one."""
    edit(claude.file("claude-code"), change)
    found = of(claude.look(), "tools.installed")
    assert (found.level, says in found.found) == (level, True), found


def test_a_file_that_the_tool_cannot_read(claude: Owner) -> None:
    """Comments are for us alone; a torn file is for nobody."""
    file = claude.file("claude-code")
    file.write_text(f"// mine\n{file.read_text()}")
    assert of(claude.look(), "tools.installed").level is Level.WARNING
    file.write_text(file.read_text()[:100])
    found = of(claude.look(), "tools.installed")
    assert (found.level, "line " in found.found) == (Level.PROBLEM, True)


def test_the_program_has_gone_or_is_another_one(claude: Owner, tmp_path: Path) -> None:
    """As after a new environment; another eventd is not tried."""
    other = tmp_path / "eventd"
    other.write_text("#!/bin/sh\nexit 0\n")
    other.chmod(0o755)
    claude.connect("claude-code", program=Program([str(other)]))
    findings = claude.look()
    assert (of(findings, "tools.installed").level, of(findings, "tools.context").made) == (
        Level.WARNING,
        False,
    )
    linked = tmp_path / "bin" / "eventd"
    linked.parent.mkdir()
    linked.symlink_to(other)
    assert of(claude.look(Program([str(linked)])), "tools.installed").level is Level.OK
    other.chmod(0o644)
    assert of(claude.look(), "tools.installed").level is Level.PROBLEM
    other.unlink()
    found = of(claude.look(), "tools.installed")
    assert (found.level, str(other) in found.found) == (Level.PROBLEM, True)


@pytest.mark.parametrize(
    ("script", "level", "says"),
    [
        ("exit 3", Level.PROBLEM, "ends with 3"),
        ("echo Traceback >&2", Level.PROBLEM, "says: Traceback"),
        ("exit 0", Level.WARNING, "hands nothing over"),
        ("echo hello", Level.WARNING, "hands nothing over"),
        ('echo \'{"hookSpecificOutput": {"hookEventName": "Stop"}}\'', Level.WARNING, "hands nothing over"),
    ],
    ids=["fails", "complains", "silent", "prose", "another hook's answer"],
)
def test_a_hook_that_does_not_do_its_work(
    claude: Owner, tmp_path: Path, script: str, level: Level, says: str
) -> None:
    """Its own command line is run, and what it prints is looked at."""
    claude.hook("claude-code", "UserPromptSubmit", prompt=SAID)
    broken = tmp_path / "eventd"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    program = Program([str(broken)])
    claude.connect("claude-code", program=program)
    found = of(claude.look(program), "tools.context")
    assert (found.level, says in found.found) == (level, True), found


@pytest.mark.parametrize(
    ("variable", "value", "made"),
    [("EVENTD_OFF", "1", False), ("EVENTD_OFF", "No", True), ("EVENTD_INJECT", "off", False)],
    ids=["off", "not off", "not handed over"],
)
def test_what_is_switched_off_here_is_said(
    claude: Owner, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, made: bool
) -> None:
    """Where nothing would be handed over, nobody is told that all is well."""
    claude.hook("claude-code", "UserPromptSubmit", prompt=SAID)
    monkeypatch.setenv(variable, value)
    found = of(claude.look(), "tools.context")
    assert (found.made, variable in found.found) == (made, not made), found


def test_a_session_that_sends_nothing(claude: Owner) -> None:
    """The tool's own file of it is newer than the last event; old sessions are none of our business."""
    session = claude.home / ".claude" / "projects" / "-home-project" / "s1.jsonl"
    session.parent.mkdir(parents=True)
    session.write_text("{}\n")
    os.utime(session, (1, 1))
    assert of(claude.look(), "tools.firing").level <= Level.NOTE
    later = time.time() + 30 * MINUTE
    os.utime(session, (later, later))
    found = of(claude.look(), "tools.firing")
    assert (found.level, "a session of Claude Code went on" in found.found) == (Level.WARNING, True)
    claude.hook("claude-code", "UserPromptSubmit", prompt=SAID)
    assert "the last event came" in of(claude.look(), "tools.firing").found
    os.utime(session)
    assert of(claude.look(), "tools.firing").level is Level.OK


def test_what_was_imported_does_not_count_as_firing(claude: Owner) -> None:
    """Nor what somebody else says about another tool, or in another form."""
    sources: list[Any] = [
        {"tool": "openclaw", "via": "import"},
        {"tool": "none", "via": "plugin"},
        "openclaw",
    ]
    events = [message_in(Run("agent:import-only:x"), f"text {number}") for number in range(len(sources))]
    for event, source in zip(events, sources, strict=True):
        event.meta["source"] = source
    with connect("import-only", socket=claude.daemon.socket) as client:
        client.emit([*events, custom(Run("agent:import-only:x"), "note.made", "x")])
        assert last_seen(client, "openclaw") is None


def test_codex_has_to_approve_each_hook(owner: Owner) -> None:
    """Silently passed over until then; seen in what Codex itself notes."""
    file = owner.file("codex")
    file.write_text("{}")
    owner.connect("codex", program=owner.program)
    found = of(owner.look(), "tools.trusted")
    assert (found.level, "all 10 hooks silently" in found.found) == (Level.PROBLEM, True)
    config = owner.home / ".codex" / "config.toml"
    places = {
        f"{file}:{''.join(f'_{c.lower()}' if c.isupper() else c for c in one.event)[1:]}:0:0": identity(one)
        for one in ours(json.loads(file.read_text()), "codex")
    }

    def note(**changed: str) -> str:
        return "".join(
            f'[hooks.state."{place}"]\ntrusted_hash = "{digest}"\n'
            + next((line for name, line in changed.items() if f":{name}:" in place), "")
            for place, digest in places.items()
        )

    config.write_text(note())
    findings = owner.look()
    assert not list(bad(findings))
    assert "no session since" in of(findings, "tools.firing").found
    session = owner.home / ".codex" / "sessions" / "2026" / "11" / "26" / "rollout-1.jsonl"
    session.parent.mkdir(parents=True)
    session.touch()
    os.utime(session, (time.time() + 30 * MINUTE,) * 2)
    assert "no event has come yet" in of(owner.look(), "tools.firing").found
    config.write_text(note(stop="enabled = false\n"))
    assert "1 of 10 hooks (Stop) are turned off" in of(owner.look(), "tools.trusted").found
    config.write_text(note().replace("sha256:", "sha256:0", 1))
    assert "approved as something else" in of(owner.look(), "tools.trusted").found
    config.write_text(f"[features]\nhooks = false\n{note()}")
    assert of(owner.look(), "tools.installed").level is Level.PROBLEM
    config.write_text("[")
    assert not of(owner.look(), "tools.trusted").made


def test_openclaw_has_to_grant_and_to_have_the_plugin(owner: Owner) -> None:
    """Granted, turned on, there, and the one of this eventd."""
    file = owner.file("openclaw")
    file.write_text("{}")
    owner.connect("openclaw", program=owner.program)
    found = of(owner.look(), "tools.trusted")
    assert (found.level, "--grant" in found.remedy) == (Level.PROBLEM, True)
    owner.connect("openclaw", program=owner.program, grant=True)
    assert not list(bad(owner.look()))
    entry: Callable[[dict[str, Any]], Any] = lambda s: s["plugins"]["entries"]["eventd"]  # noqa: E731
    edit(file, lambda s: entry(s)["hooks"].update(allowPromptInjection=False))
    assert of(owner.look(), "tools.trusted").level is Level.WARNING
    copy = owner.home / "share" / "eventd" / "openclaw-plugin"
    (copy / "index.js").write_text("old")
    assert of(owner.look(), "tools.installed").level is Level.WARNING
    (copy / "openclaw.plugin.json").unlink()
    assert of(owner.look(), "tools.installed").level is Level.PROBLEM
    owner.connect("openclaw", program=owner.program)
    assert openclaw.is_current(copy)
    edit(file, lambda s: entry(s).update(enabled=False))
    assert "turned off" in of(owner.look(), "tools.installed").found


def test_events_that_wait_in_the_spool(claude: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where hooks look for the daemon elsewhere than it listens; and a folder that others can read."""
    monkeypatch.setattr(spool, "TAKEN_IN", 0.0)
    claude.connect("claude-code", program=Program(WORDS, claude.home / "nobody.sock"))
    claude.hook("claude-code", "UserPromptSubmit", prompt=SAID)
    found = of(claude.look(), "tools.spool")
    assert (found.level, "1 file with events" in found.found) == (Level.WARNING, True)
    assert "EVENTD_SPOOL" in found.remedy
    folder = claude.home / ".local" / "state" / "eventd" / "spool"
    folder.chmod(0o755)
    assert of(claude.look(), "tools.spool").level is Level.PROBLEM


def test_without_a_daemon(tmp_path: Path, short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be seen in files is seen; the rest could not be looked at."""
    owner = Owner(tmp_path, Daemon(short_tmp / "d", {}))
    monkeypatch.setenv("HOME", str(owner.home))
    owner.file("claude-code").write_text("{}")
    owner.connect("claude-code", program=owner.program)
    owner.hook("claude-code", "UserPromptSubmit", prompt=SAID)
    findings = owner.look()
    assert of(findings, "tools.installed").level is Level.OK
    assert not of(findings, "tools.firing").made
    assert not of(findings, "tools.context").made
    assert "taken in once the daemon runs" in of(findings, "tools.spool").remedy


def test_shapes_of_secrets_are_looked_at(owner: Owner, tmp_path: Path) -> None:
    """A line that cannot be used is named, since what it means is stored as it is."""
    file = tmp_path / "redact"
    owner.environ["EVENTD_REDACT"] = str(file)
    file.write_text("customer-number KD-\\d+\n")
    assert "customer-number" in of(owner.look(), "tools.redaction").found
    file.write_text("customer-number KD-(\n")
    found = of(owner.look(), "tools.redaction")
    assert found.level is Level.PROBLEM
    assert f"{file}:1: missing )" in found.found
