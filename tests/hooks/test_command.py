"""The real command, with a real daemon and a real stream: what arrives, and that it is never in the way."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from eventd.spool.files import Spool
from hooks.support import COMMAND, GOLDEN, HANGING, Called, Hooks, given, inputs
from support.daemon import Daemon
from support.jetstream import JetStream
from support.nats import NatsServer
from support.users import only_root
from support.waiting import wait_until

QUIET = Called(0, "", "")


def timeless(event: dict[str, Any]) -> dict[str, Any]:
    """What an event says, but for when it was said."""
    data = event["payload"]["data"]
    return {"type": event["type"], "session": event["session"], "data": data, "meta": event["meta"]}


def golden(tool: str) -> list[dict[str, Any]]:
    """The golden events of a tool's hooks, in the order in which these are called."""
    named = json.loads((GOLDEN / f"{tool.replace('-', '_')}.json").read_text())
    return [event for name, _ in inputs(tool) for event in named[name]]


def stored(daemon: Daemon, session: str) -> list[dict[str, Any]]:
    """The events of a session, as they are in the stream."""
    spool = Spool(daemon.environ["EVENTD_SPOOL"])
    wait_until(lambda: not spool.files(), HANGING, what="nothing waits in the spool")
    daemon.wait_shipped()
    events = [message.event for message in daemon.embedded_streams().read()]
    return [event for event in events if event["session"].endswith(session)]


def test_what_hooks_are_given_arrives_in_the_stream(served: Hooks, healthy: Daemon) -> None:
    """All hooks of both tools, one of them called twice: once in the stream, in the order of the calls."""
    for tool in ("claude-code", "codex"):
        expected: list[str] = []
        for name, content in inputs(tool):
            for _ in range(2 if name == "pre_tool_use" else 1):
                assert served(tool, content, EVENTD_INJECT="off") == QUIET, name
            if name != "message_display":
                expected.append(content["hook_event_name"])
        session = given(tool, "stop")["session_id"]
        found = stored(healthy, session)
        assert [event["meta"]["source"]["hook"] for event in found] == expected
        assert {event["session"] for event in found} == {f"agent:{tool}:{session}"}
        assert {event["agent"] for event in found} == {tool}
        assert {event["meta"]["source"]["cwd"] for event in found} == {"/home/ada/shop"}
        assert len({event["id"] for event in found}) == len(found)
        assert [timeless(event) for event in found] == [timeless(event) for event in golden(tool)]


def test_the_agent_can_be_named(served: Hooks, healthy: Daemon) -> None:
    assert served("codex", given("codex", "stop", session_id="named"), EVENTD_AGENT="ada") == QUIET
    assert [(event["agent"], event["session"]) for event in stored(healthy, "named")] == [
        ("ada", "agent:ada:named")
    ]


def test_a_large_answer_of_a_tool_is_stored_with_its_ends(served: Hooks, healthy: Daemon) -> None:
    """30 MB go through the command, and what is stored says that there was more."""
    answer = {"stdout": "first line\n" + "x" * 30_000_000, "stderr": ""}
    call = given("claude-code", "post_tool_use", tool_response=answer, session_id="large")
    assert served("claude-code", call) == QUIET
    (event,) = stored(healthy, "large")
    data = event["payload"]["data"]
    assert data["toolCallId"] == "toolu_01ABC123"
    assert data["result"]["stdout"].startswith("first line\nxxx")
    assert "the rest was left out; all of it had" in data["result"]["stdout"]


@pytest.mark.parametrize("state", ["away", "hangs"])
def test_without_an_answer_it_ends_and_the_event_waits(
    hooks: Hooks, daemon: Daemon, nats_server: NatsServer, state: str
) -> None:
    """In time (else the harder limit would end it, and nothing would be spooled), silently, and with 0."""
    names = ["session_start", "user_prompt_submit", "pre_tool_use", "stop", "session_end"]
    daemon.pause() if state == "hangs" else daemon.kill()
    for number, name in enumerate(names, 1):
        assert hooks("claude-code", given("claude-code", name)) == QUIET
        assert len(hooks.spool.files()) == number
    daemon.resume() if state == "hangs" else daemon.start()
    wait_until(lambda: not hooks.spool.files(), HANGING, what="the daemon takes it in")
    daemon.wait_shipped()
    found = [message.event["meta"]["source"]["hook"] for message in JetStream(nats_server.url).read()]
    assert found == [given("claude-code", name)["hook_event_name"] for name in names]


def test_what_the_daemon_does_not_take_now_waits(hooks: Hooks, daemon: Daemon) -> None:
    """As where an agent may not send so fast, or the outbox is full."""
    hooks.patient = True
    daemon.reconfigure(agents={"codex": {"maxEventsPerSecond": 1, "burst": 1}})
    for turn in range(3):
        assert hooks("codex", given("codex", "stop", turn_id=f"turn-{turn}")) == QUIET
    wait_until(lambda: not hooks.spool.files(), HANGING, what="the daemon takes it in")
    daemon.wait_for(lambda status: status["outbox"]["accepted"] == 3, what="all are there")


def test_what_the_daemon_never_takes_is_let_go(hooks: Hooks, daemon: Daemon) -> None:
    """Its person has turned it off; what is not wanted shall not pile up."""
    hooks.patient = True
    daemon.reconfigure(enabled=False)
    assert hooks("codex", given("codex", "stop")) == QUIET
    assert hooks.spool.files() == []
    assert "1 events were refused: disabled" in hooks.log


@pytest.mark.parametrize("data", [b"", b"{", b"no JSON", b"[]", b"\xff" * 1000, b"{" * 100_000], ids=range(6))
def test_broken_input_is_nobodys_trouble(hooks: Hooks, data: bytes) -> None:
    assert hooks("claude-code", data) == QUIET
    assert ("no JSON object" in hooks.log) is bool(data)


def test_an_input_without_an_end_is_not_waited_for(hooks: Hooks) -> None:
    """A tool that keeps its end open; the command ends all the same."""
    environ = hooks.variables()
    with subprocess.Popen([*COMMAND, "codex"], stdin=subprocess.PIPE, env=environ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(given("codex", "stop")).encode())
        process.stdin.flush()
        assert process.wait(HANGING) == 0
    assert len(hooks.spool.files()) == 1


@pytest.mark.parametrize("missing", ["HOME", "all"])
def test_without_a_home_it_does_what_it_can(served: Hooks, healthy: Daemon, missing: str) -> None:
    environ: dict[str, str | None] = {"HOME": None, "XDG_STATE_HOME": None}
    if missing == "all":
        environ |= {"HOME": "", "EVENTD_SPOOL": None, "XDG_STATE_HOME": "relative"}
    assert served("codex", given("codex", "stop", session_id=missing), **environ) == QUIET
    assert len(stored(healthy, missing)) == 1


@pytest.mark.parametrize("place", ["file", "link to nowhere", "others may write", "another's"])
def test_state_that_cannot_be_used_is_nobodys_trouble(hooks: Hooks, place: str) -> None:
    """The event is lost then, since no daemon is there either; but nobody waits or is told."""
    state, spool = hooks.state, Path(hooks.spool.folder)
    state.parent.mkdir()
    for folder in (state, spool):
        match place:
            case "file":
                folder.touch()
            case "link to nowhere":
                folder.symlink_to("/nonexistent/there")
            case "others may write":
                folder.mkdir()
                folder.chmod(0o777)
            case _:
                if os.geteuid() != 0:
                    pytest.skip("only root can give a folder away")
                folder.mkdir(mode=0o700)
                os.chown(folder, 4711, 4711)
    for name in ("session_start", "user_prompt_submit", "stop"):
        assert hooks("claude-code", given("claude-code", name)) == QUIET
    if spool.is_dir():
        assert list(spool.iterdir()) == []


@only_root
def test_a_disk_that_cannot_be_written_is_nobodys_trouble(hooks: Hooks) -> None:
    """Read-only, as a rescue system has it."""
    disk = hooks.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk], check=False).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        environ = {"XDG_STATE_HOME": str(disk), "EVENTD_SPOOL": str(disk / "spool"), "HOME": str(disk)}
        assert hooks("codex", given("codex", "session_start"), **environ) == QUIET
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_mistake_in_the_command_line_does_not_stop_the_tool(hooks: Hooks) -> None:
    """Exit code 2 would: for Claude Code that is how a hook forbids what the agent is about to do."""
    for arguments in ([], ["cursor"], ["claude-code", "--now"], ["codex", "codex"]):
        done = subprocess.run(
            [*COMMAND, *arguments], input=b"{}", capture_output=True, env=hooks.variables(), check=False
        )
        assert done.returncode == 1, arguments
        assert done.stdout == b""


def test_the_socket_may_be_named_before_the_command(served: Hooks, healthy: Daemon) -> None:
    done = subprocess.run(
        [*COMMAND[:-1], "--socket", str(healthy.socket), "hook", "codex"],
        input=json.dumps(given("codex", "stop", session_id="socket")).encode(),
        env=served.variables(EVENTD_SOCKET=None),
        check=False,
    )
    assert done.returncode == 0
    assert len(stored(healthy, "socket")) == 1


def test_it_loads_next_to_nothing() -> None:
    """Each of these takes longer to load than the rest of the command."""
    slow = {"click", "asyncio", "anyio", "msgspec", "yaml", "platformdirs", "logging", "pathlib", "typing"}
    script = (
        "import sys; before = set(sys.modules)\n"
        "import eventd.entry, eventd.hooks.command, eventd.hooks.claude_code\n"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([COMMAND[0], "-c", script], capture_output=True, check=True)
    assert not set(done.stdout.decode().split()) & slow


# The person stays in charge.


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_a_variable_turns_everything_off(hooks: Hooks, value: str) -> None:
    for name in ("session_start", "user_prompt_submit", "stop"):
        assert hooks("claude-code", given("claude-code", name), EVENTD_OFF=value) == QUIET
    assert hooks.spool.files() == []


@pytest.mark.parametrize("where", ["project", "above", "home"])
def test_a_file_in_the_project_turns_it_off(hooks: Hooks, where: str) -> None:
    project = hooks.folder / "work" / "shop" / "src"
    project.mkdir(parents=True)
    place = {"project": project, "above": project.parent, "home": hooks.folder}[where]
    (place / ".eventd-ignore").touch()
    assert hooks("codex", given("codex", "stop", cwd=str(project))) == QUIET
    assert hooks.spool.files() == []


def test_a_file_above_the_home_or_in_another_project_does_not(hooks: Hooks) -> None:
    home = hooks.folder / "home"
    (home / "a").mkdir(parents=True)
    (home / "b").mkdir()
    (home / "b" / ".eventd-ignore").touch()
    (hooks.folder / ".eventd-ignore").touch()
    assert hooks("codex", given("codex", "stop", cwd=str(home / "a")), HOME=str(home)) == QUIET
    assert len(hooks.spool.files()) == 1


@pytest.mark.parametrize("cwd", ["/a\0b", "/a\ud800"], ids=["nul", "half a character"])
def test_a_folder_that_cannot_be_is_none_that_is_ignored(hooks: Hooks, cwd: str) -> None:
    hooks("claude-code", given("claude-code", "user_prompt_submit", cwd=cwd))
    assert len(hooks.spool.files()) == 1


def test_an_agent_that_has_gone_elsewhere_is_still_in_its_project(hooks: Hooks) -> None:
    (hooks.folder / ".eventd-ignore").touch()
    call = given("claude-code", "stop", cwd="/")
    assert hooks("claude-code", call, CLAUDE_PROJECT_DIR=str(hooks.folder)) == QUIET
    assert hooks.spool.files() == []


def test_a_session_is_turned_off_and_on_by_a_prompt(hooks: Hooks) -> None:
    def say(text: str, session: str = "one") -> int:
        prompt = given("claude-code", "user_prompt_submit", prompt=text, session_id=session)
        assert hooks("claude-code", prompt, EVENTD_INJECT="off") == QUIET
        return len(hooks.spool.files())

    assert [say("a"), say("  Eventd OFF\n"), say("b"), say("c", "two"), say("eventd on."), say("d")] == [
        1, 1, 1, 2, 2, 3,
    ]  # fmt: skip


def test_a_session_is_turned_off_also_where_others_may_look_into_the_folder(hooks: Hooks) -> None:
    """A backup that came back, say: what counts is that nobody else can write there."""
    hooks.state.mkdir(parents=True)
    hooks.state.chmod(0o755)
    for text in ("eventd off", "not for others"):
        assert hooks("claude-code", given("claude-code", "user_prompt_submit", prompt=text)) == QUIET
    assert hooks.spool.files() == []


def test_what_is_private_or_secret_never_leaves_the_process(hooks: Hooks) -> None:
    """Neither the spool nor a log has it."""
    secret = "ghp_" + "a1B2" * 9
    prompt = f"fix it <private>my salary is 12345</private> with {secret}"
    hooks("codex", given("codex", "user_prompt_submit", prompt=prompt))
    hooks("codex", given("codex", "user_prompt_submit", prompt="<private>all of it</private>"))
    (file,) = hooks.spool.files()
    kept = json.dumps(hooks.spool.read(file)) + hooks.log
    assert "fix it [private] with [redacted:github-token]" in kept
    assert not {"12345", secret} & {word for word in ("12345", secret) if word in kept}


# Tokens.


def test_where_rules_ask_for_a_token_it_is_shown(hooks: Hooks, daemon: Daemon) -> None:
    """Also on the way through the spool, which has its digest; who shows another one waits there."""
    daemon.reconfigure(agents={"codex": {"token": "right"}})
    hooks("codex", given("codex", "stop"), EVENTD_TOKEN="right")
    daemon.wait_for(lambda status: status["outbox"]["accepted"] == 1, what="it has arrived")
    daemon.kill()
    hooks("codex", given("codex", "stop", session_id="2"), EVENTD_TOKEN="wrong")
    hooks("codex", given("codex", "stop", session_id="3"), EVENTD_TOKEN="right")
    (wrong, right) = hooks.spool.files()
    assert "right" not in json.dumps(hooks.spool.read(right))
    daemon.start()
    daemon.wait_for(lambda status: "unauthorised" in status["spool"]["problem"], what="it says what waits")
    daemon.wait_for(lambda status: status["spool"]["taken"] == 1, what="the other has arrived")
    assert [file.name for file in hooks.spool.files()] == [wrong.name]
    assert hooks("codex", given("codex", "stop", session_id="4"), EVENTD_TOKEN="wrong") == QUIET
    assert len(hooks.spool.files()) == 2
