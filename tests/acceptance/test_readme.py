"""What the README tells a newcomer to type does what it says."""

import grp
import json
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

import pytest

from eventd.config.load import load_text
from eventd.embedded.binary import find_binary
from support.daemon import Daemon

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TIMEOUT = 60.0  # seconds for one snippet; a bound against hanging


def snippets(language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def run(command: list[str], daemon: Daemon) -> str:
    """Run a command as the README's reader does, with the environment activated; return its output."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "EVENTD_SOCKET": str(daemon.socket),
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_opens_with_what_eventd_is_and_the_two_commands() -> None:
    first = snippets("bash")[0]
    assert [line.split("  ")[0] for line in first.splitlines()] == ["make run", "make test"]
    assert README.index("make run") < 1200


def test_the_first_events_are_stored_and_shown_again(daemon: Daemon) -> None:
    """The sample conversation comes back out of JetStream, event by event."""
    lines = [line for line in snippets("bash")[1].splitlines() if not line.startswith("source ")]
    sample = (ROOT / "ipc/examples/conversation.ndjson").read_text().splitlines()
    output = run(["bash", "-euo", "pipefail", "-c", "\n".join(lines)], daemon)
    ids = [json.loads(line)["id"] for line in sample]
    assert output.splitlines()[: len(ids)] == ids
    assert "Thursday, 26 November, at 06:00." in output
    shown = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert [line["event"]["payload"]["data"]["text"] for line in shown] == ["hello, are you there?"]
    stored = run(["eventd", "tail", "--last", "100", "--raw"], daemon).splitlines()
    assert [json.loads(line)["id"] for line in stored[: len(ids)]] == ids
    assert len(stored) == len(ids) + 1


def test_an_agent_is_connected_and_its_past_is_known(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a Claude Code in the home folder that has kept one session."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    session = tmp_path / ".claude" / "projects" / "-work-shop" / "7d9f7e0c-6f0e-4d4e-9a57-0c5f9a0f3a11.jsonl"
    session.parent.mkdir(parents=True)
    line = {
        "type": "user", "uuid": "u1", "parentUuid": None, "sessionId": session.stem, "cwd": "/work/shop",
        "timestamp": "2026-11-20T10:00:00.000Z", "version": "2.1.200", "isSidechain": False,
        "message": {"role": "user", "content": "The boiler of the shop shows F28."},
    }  # fmt: skip
    session.write_text(json.dumps(line) + "\n")
    lines = snippets("bash")[2]
    assert [line.split()[1] for line in lines.splitlines()] == ["connect", "import", "context"]
    output = run(["bash", "-euo", "pipefail", "-c", lines], daemon)
    assert "eventd" in (tmp_path / ".claude" / "settings.json").read_text()
    assert "The boiler of the shop shows F28." in output


def test_what_it_remembers_is_found_again(daemon: Daemon) -> None:
    """Each command of the section answers from the sample conversation; the context is ready for a prompt."""
    run(["bash", "-c", "eventd emit --stdin < ipc/examples/conversation.ndjson"], daemon)
    lines = [line for line in snippets("bash")[3].splitlines() if line]
    outputs = [run(["bash", "-euo", "pipefail", "-c", line], daemon) for line in lines]
    assert [line.split()[1] for line in lines] == ["emit", "query", "recall", "context", "context"]
    _, _, recalled, context, why = outputs
    assert "Which day did we pick for moving the shop" in recalled
    assert context.startswith("<eventd-memory")
    assert "Anna prefers short answers." in context
    assert [line.split()[0] for line in why.splitlines() if "Anna prefers" in line] == ["facts"]


def test_what_moves_in_moves_out(daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command does what its comment says, one after another, with the files of an OpenClaw."""
    notes = tmp_path / "openclaw" / "workspace" / "memory"
    notes.mkdir(parents=True)
    (notes / "2026-10-02.md").write_text(
        "Anna has moved to Graz.\n\n## Garden\nmy old password is swordfish\n"
    )
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(notes.parents[1]))
    monkeypatch.setenv("HOME", str(tmp_path))
    lines = [line for line in snippets("bash")[4].splitlines() if line]
    assert lines.pop().startswith('eventd forget --text "my old password"  ')
    commands = [*lines, 'eventd forget --text "my old password" --yes']
    for command in commands:
        run(["bash", "-euo", "pipefail", "-c", f"cd {tmp_path} && {command}"], daemon)
    assert (tmp_path / "eventd-backup" / "MANIFEST.yml").exists()
    assert "Graz" in run(["eventd", "recall", "--agent", "main", "where has Anna moved to"], daemon)
    assert "swordfish" not in run(["eventd", "query", "--raw"], daemon)


def test_a_session_begins_with_what_the_last_one_said(daemon: Daemon) -> None:
    """The snippet with `session_start`, behind the one that logs a conversation."""
    log, remember = snippets("python")
    run([sys.executable, "-c", log], daemon)
    output = run([sys.executable, "-c", remember], daemon)
    assert output.startswith("<eventd-memory")
    assert output.count("Vienna") >= 2
    stored = run(["eventd", "query", "--session", "agent:main:today", "--oldest", "--raw"], daemon)
    assert [json.loads(line)["type"] for line in stored.splitlines()] == [
        "lifecycle.start",
        "conversation.message.out",
    ]


@pytest.mark.parametrize("code", [snippets("python")[0], (ROOT / "ipc/examples/agent.py").read_text()])
def test_the_python_snippets_store_what_they_log(daemon: Daemon, code: str) -> None:
    run([sys.executable, "-c", code], daemon)
    stored = run(["eventd", "tail", "--last", "100", "--raw"], daemon).splitlines()
    assert "Vienna." in [json.loads(line)["payload"]["data"].get("text") for line in stored]


@pytest.mark.parametrize("text", snippets("yaml"))
def test_the_configuration_snippets_load(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the users, the group and the file that they name are there; without a warning."""
    monkeypatch.setattr(pwd, "getpwnam", lambda name: pwd.getpwuid(os.getuid()))
    monkeypatch.setattr(grp, "getgrnam", lambda name: grp.getgrgid(os.getgid()))
    (tmp_path / "one.token").touch(mode=0o600)
    (tmp_path / "one.token").write_text("s3cret")
    config = load_text(text, tmp_path / "config.yml")
    assert config.routes.default.stream == "openclaw-events"
    assert config.warnings == ()


def test_a_token_is_made_and_proves_its_agent(daemon: Daemon) -> None:
    """The lines work as they stand; the rule is dropped again, for the tests behind this one."""
    lines = snippets("bash")[5]
    config = ["eventd", "--config", str(daemon.folder / "config.yml")]
    try:
        output = run(["bash", "-euc", f"export EVENTD_CONFIG={config[2]}\n{lines}"], daemon)
        token = output.splitlines()[0]
        assert "administrator" in output
        as_agent = ["env", f"EVENTD_TOKEN={token}", *config, "whoami", "--agent", "assistant-one", "--json"]
        assert json.loads(run(as_agent, daemon))["proof"] == "token"
    finally:
        run([*config, "token", "drop", "--yes", "assistant-one"], daemon)


def test_the_server_configuration_and_its_part_of_ours_fit(daemon: Daemon, tmp_path: Path) -> None:
    """Each line works in an empty folder. Here the servers only look at their files; other tests run them."""
    first, server, ours = (line.split("  ")[0] for line in snippets("sh")[0].splitlines())
    program = find_binary(None).path
    checked = f"{program} -t{server.removeprefix('nats-server')} && {ours.removesuffix(' run')} config check"
    run(["bash", "-euc", f"cd {tmp_path} && EVENTD_CONFIG= && {first} && {checked}"], daemon)
    assert snippets("sh")[1].startswith(ours.removesuffix("run"))
