"""`.eventd-ignore` and `eventd off` hold in OpenClaw as they do for the hooks of other tools."""

from pathlib import Path

import pytest

from eventd.hooks.command import session_switch
from support.daemon import Daemon

from .conftest import HostFactory
from .host import Host, Tree, remember, stored


def place(agent: str, **more: str) -> Tree:
    """Where everything happens."""
    return {
        "sessionKey": f"agent:{agent}:telegram:direct:42",
        "agentId": agent,
        "channelId": "telegram",
        **more,
    }


def say(host: Host, agent: str, text: str, number: int) -> None:
    """A message comes in by a channel."""
    host.call("message_received", {"content": text, "messageId": str(number)}, place(agent))


def run(host: Host, agent: str, prompt: str, number: int, **more: str) -> str:
    """A run of the agent, with all that is told of it; return what the agent was told."""
    ctx = place(agent, sessionId="s-1", runId=f"r-{number}", **more)
    told = host.call("before_prompt_build", {"prompt": prompt, "messages": []}, ctx)
    host.call(
        "before_tool_call", {"toolName": "exec", "params": {}, "toolCallId": f"c-{number}"}, place(agent)
    )
    host.call("llm_output", {"assistantTexts": [f"answer {number}"]}, ctx)
    host.call("agent_end", {"success": True, "messages": []}, ctx)
    return told["appendSystemContext"] if told else ""


def texts(daemon: Daemon, agent: str) -> list[str]:
    """Return what was said, as it is stored."""
    return [event["payload"]["data"]["text"] for event in stored(daemon, agent) if "message" in event["type"]]


@pytest.fixture
def environ(short_tmp: Path) -> dict[str, str]:
    """Variables of a user who has not said anything yet."""
    return {"HOME": str(short_tmp), "XDG_STATE_HOME": str(short_tmp / "state")}


def test_session_is_off_until_it_is_on(
    shared_daemon: Daemon, host_factory: HostFactory, agent: str, environ: dict[str, str]
) -> None:
    """Also when OpenClaw starts again; the switch itself is not stored, and other sessions go on."""
    remember(shared_daemon, agent, "Ada likes trains")
    host = host_factory(shared_daemon.socket, environ=environ)
    say(host, agent, "one", 1)
    assert "trains" in run(host, agent, "[Telegram Ada] one", 1)
    say(host, agent, "Eventd off.", 2)
    assert run(host, agent, "[Telegram Ada] Eventd off.", 2) == ""
    other = {**place(agent), "sessionKey": f"agent:{agent}:main"}
    host.call("message_received", {"content": "elsewhere", "messageId": "9"}, other)
    host.call("gateway_stop", {})
    assert session_switch("openclaw", "s-1", environ).is_off, "so `import sessions` leaves it out, too"

    host = host_factory(shared_daemon.socket, environ=environ)
    say(host, agent, "secret", 3)
    assert run(host, agent, "[Telegram Ada] secret", 3) == ""
    say(host, agent, "eventd on", 4)
    assert "trains" in run(host, agent, "[Telegram Ada] eventd on", 4)
    host.call("gateway_stop", {})
    assert not session_switch("openclaw", "s-1", environ).is_off
    assert sorted(texts(shared_daemon, agent)) == ["answer 1", "answer 4", "elsewhere", "one"]
    calls = [
        event["payload"]["data"]["toolCallId"]
        for event in stored(shared_daemon, agent)
        if "call" in event["type"]
    ]
    assert calls == ["c-1", "c-4"]


def test_hooks_of_other_tools_switch_by_the_same_file(
    shared_daemon: Daemon, host_factory: HostFactory, agent: str, environ: dict[str, str]
) -> None:
    """Names and folder are theirs, whatever a session is called."""
    (Path(environ["HOME"]) / "state").mkdir()
    for session in ("s-1", f"agent:{agent}:telegram:direct:42", "ü \U0001f600:" + "x" * 200):
        session_switch("openclaw", session, environ).listen("eventd off")
        host = host_factory(shared_daemon.socket, environ=environ)
        key = session if ":" in session else ""
        ctx = {"agentId": agent, "sessionKey": key, "sessionId": "" if key else session}
        if key and not key.startswith("agent:"):
            session_switch("openclaw", f"agent:{agent}:{key}", environ).listen("eventd off")
        host.call("before_tool_call", {"toolName": "exec", "params": {}, "toolCallId": "c"}, ctx)
        host.call("gateway_stop", {})
    assert stored(shared_daemon, agent) == []


def test_prompt_without_a_channel_switches(
    shared_daemon: Daemon, host_factory: HostFactory, agent: str, environ: dict[str, str]
) -> None:
    """Also where nothing is recorded at all; what no person has said switches nothing."""
    remember(shared_daemon, agent, "Ada likes trains")
    for config in ({}, {"capture": False}):
        host = host_factory(shared_daemon.socket, config, environ=environ)
        assert "trains" in run(host, agent, "eventd off", 1, trigger="cron")
        assert run(host, agent, "eventd off", 2) == ""
        assert run(host, agent, "secret", 3) == ""
        assert "trains" in run(host, agent, "eventd on", 4)
        host.call("gateway_stop", {})
    assert "secret" not in texts(shared_daemon, agent)


def test_agent_whose_workspace_says_so_is_left_alone(
    shared_daemon: Daemon, host_factory: HostFactory, agent: str, environ: dict[str, str]
) -> None:
    """Also in hooks that do not say where it works, and before the first one that does."""
    remember(shared_daemon, agent, "Ada likes trains")
    home = Path(environ["HOME"])
    ignored, known = home / "w" / "agent", home / ".openclaw" / f"workspace-{agent}-too"
    ignored.mkdir(parents=True)
    known.mkdir(parents=True)
    for folder in (home / "w", known):
        (folder / ".eventd-ignore").touch()
    host = host_factory(shared_daemon.socket, environ=environ)
    assert run(host, agent, "one", 1, workspaceDir=str(ignored)) == ""
    say(host, agent, "two", 2)
    say(host, f"{agent}-too", "three", 3)
    say(host, f"{agent}-else", "four", 4)
    host.call("gateway_stop", {})
    assert texts(shared_daemon, agent) == texts(shared_daemon, f"{agent}-too") == []
    assert texts(shared_daemon, f"{agent}-else") == ["four"]
