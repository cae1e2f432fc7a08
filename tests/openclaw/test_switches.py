"""The person stays in charge: what is switched off, private or not granted does not go to eventd."""

from pathlib import Path
from typing import Any

import pytest

from support.daemon import Daemon

from .conftest import HostFactory
from .host import Host, Tree, stored


def say(host: Host, agent: str, text: str, number: int = 1) -> None:
    """A message comes in by a channel."""
    event = {"from": "ada", "content": text, "messageId": str(number)}
    assert host.call("message_received", event, place(agent)) is None


def place(agent: str) -> Tree:
    """Where everything happens."""
    return {"channelId": "telegram", "sessionKey": f"agent:{agent}:telegram:direct:42", "sessionId": "s"}


def texts(daemon: Daemon, agent: str) -> list[str]:
    """Return what was said, as it is stored."""
    return [event["payload"]["data"]["text"] for event in stored(daemon, agent) if "message" in event["type"]]


def types(daemon: Daemon, agent: str) -> list[str]:
    """Return the types of what is stored."""
    return [event["type"] for event in stored(daemon, agent)]


OFF: dict[str, Tree] = {
    "enabled": {"config": {"enabled": False}},
    "neither": {"config": {"capture": False, "inject": False}},
    "EVENTD_OFF": {"environ": {"EVENTD_OFF": "1"}},
}


@pytest.mark.parametrize("options", OFF.values(), ids=OFF)
def test_plugin_that_is_off_has_no_hooks(host_factory: HostFactory, short_tmp: Path, options: Tree) -> None:
    """And it says so."""
    host = host_factory(short_tmp / "nobody.sock", **options)
    assert host.hooks() == []
    assert any("switched off" in line for line in host.log())


def test_capture_alone_can_be_off(shared_daemon: Daemon, host_factory: HostFactory, agent: str) -> None:
    """Then agents are told what there is, and nothing new is recorded, not even a sign of life."""
    host = host_factory(shared_daemon.socket, {"capture": False, "speaker": agent})
    assert set(host.hooks()) == {"before_prompt_build", "gateway_stop"}
    host.call("before_prompt_build", {"prompt": "hi", "messages": []}, place(agent))
    host.call("gateway_stop", {})
    assert stored(shared_daemon, agent) == []


def test_variable_that_says_no_switches_nothing_off(
    shared_daemon: Daemon, host_factory: HostFactory, agent: str
) -> None:
    """As people write it."""
    host = host_factory(shared_daemon.socket, environ={"EVENTD_OFF": "0"})
    say(host, agent, "hello")
    host.call("gateway_stop", {})
    assert texts(shared_daemon, agent) == ["hello"]


def test_other_agents_are_left_alone(shared_daemon: Daemon, host_factory: HostFactory, agent: str) -> None:
    """The sign of life stays: it is of nobody."""
    scout = f"{agent}-scout"
    host = host_factory(shared_daemon.socket, {"agents": [scout], "speaker": agent})
    host.call("gateway_start", {"port": 1})
    say(host, agent, "to the agent")
    say(host, scout, "to the scout")
    spawned = {"runId": "r", "childSessionKey": f"agent:{scout}:subagent:1", "agentId": scout, "mode": "run"}
    host.call("subagent_spawned", spawned, {"requesterSessionKey": f"agent:{agent}:main"})
    host.call("gateway_stop", {})
    assert texts(shared_daemon, scout) == ["to the scout"]
    assert types(shared_daemon, agent) == ["gateway.start", "gateway.stop"]


def test_private_parts_are_not_recorded(shared_daemon: Daemon, host_factory: HostFactory, agent: str) -> None:
    """In no hook; and a message that is nothing else is not recorded at all."""
    host = host_factory(shared_daemon.socket)
    say(host, agent, "before <private>the gift</private> after", 1)
    say(host, agent, "<private>the gift</private>", 2)
    prompt = {"prompt": "[Ada] <private>the gift</private>", "messages": []}
    host.call("before_prompt_build", prompt, {**place(agent), "runId": "r1"})
    tool = {"toolName": "note", "params": {"text": "<private>the gift"}, "toolCallId": "c"}
    host.call("before_tool_call", tool, place(agent))
    host.call("gateway_stop", {})
    assert texts(shared_daemon, agent) == ["before [private] after"]
    assert "the gift" not in str(stored(shared_daemon, agent))


def test_channels_tell_without_conversation_access(
    shared_daemon: Daemon, host_factory: HostFactory, agent: str
) -> None:
    """OpenClaw keeps three hooks back; the sign of life says so, for `eventd doctor`."""
    host = host_factory(shared_daemon.socket, {"speaker": agent}, policy=None)
    host.call("gateway_start", {"port": 1})
    say(host, agent, "hello")
    sent = {"to": "ada", "content": "hello Ada", "success": True, "messageId": "9"}
    host.call("message_sent", sent, place(agent))
    host.call("message_sent", sent, place(agent))  # a hook that is called twice
    host.call("message_sent", {**sent, "messageId": "10"}, place(agent))  # said again
    host.call("gateway_stop", {})
    assert texts(shared_daemon, agent) == ["hello", "hello Ada", "hello Ada"]
    start = next(event for event in stored(shared_daemon, agent) if event["type"] == "gateway.start")
    about = start["payload"]["data"]
    assert about["hooks"]["blocked"] == ["before_prompt_build", "llm_output", "agent_end"]
    assert about["openclaw"] == "2026.9.6"


POLICIES: dict[str, Tree] = {
    "all": {"allowConversationAccess": True},
    "no injection": {"allowConversationAccess": True, "allowPromptInjection": False},
    "no conversation": {"allowConversationAccess": False, "allowPromptInjection": True},
    "nothing said": {},
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_grants_are_told_as_they_are_given(
    shared_daemon: Daemon, host_factory: HostFactory, agent: str, policy: Tree
) -> None:
    """What the plugin says it has is what OpenClaw has registered."""
    host = host_factory(shared_daemon.socket, {"speaker": agent}, policy=policy)
    host.call("gateway_start", {"port": 1})
    host.call("gateway_stop", {})
    start, _ = stored(shared_daemon, agent)
    granted = set(start["payload"]["data"]["hooks"]["granted"])
    assert granted == set(host.hooks()) - {"gateway_start", "gateway_stop"}


def test_calls_of_a_run_have_ids_of_their_own(
    shared_daemon: Daemon, host_factory: HostFactory, agent: str
) -> None:
    """Also where the model counts them anew in each run, or OpenClaw names none."""
    host = host_factory(shared_daemon.socket)
    tool: dict[str, Any] = {"toolName": "exec", "params": {"n": 1}}
    for run in ("r1", "r2"):
        for named in ({"toolCallId": "call_0"}, {"toolCallId": "call_1"}, {}):
            host.call("before_tool_call", {**tool, "runId": run, **named}, place(agent))
    host.call("before_tool_call", {**tool, "runId": "r2", "toolCallId": "call_0"}, place(agent))  # told twice
    host.call("gateway_stop", {})
    calls = [event["id"] for event in stored(shared_daemon, agent)]
    assert len(set(calls)) == len(calls) == 6


def test_openclaw_that_starts_again_tells_nothing_twice(
    shared_daemon: Daemon, host_factory: HostFactory, agent: str
) -> None:
    """The ids are made of OpenClaw's own; that eventd has an event is no loss."""
    for _ in range(2):
        host = host_factory(shared_daemon.socket)
        say(host, agent, "hello")
        tool = {"toolName": "exec", "params": {}, "toolCallId": "c1"}
        host.call("before_tool_call", tool, place(agent))
        host.call("gateway_stop", {})
        assert not any("dropped" in line for line in host.log())
    assert sorted(types(shared_daemon, agent)) == ["conversation.message.in", "conversation.tool_call"]
