"""Events reach a stream once and in order, whatever happens between OpenClaw and eventd; no hook waits."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from eventd_ipc.blocking import connect
from eventd_ipc.messages import Emit, Error
from ipc.support.scripted import Peer, ScriptedServer, Step, dismiss, lose_ack, refuse, send_away
from support.daemon import Daemon
from support.waiting import wait_until

from .conftest import HostFactory
from .host import Host, remember, stored

FULL = os.environ.get("EVENTD_FAULTS") == "full"
ROUNDS = 20 if FULL else 2  # times that the daemon is killed
CALLS = 200  # tool calls of a round

SESSION = {"sessionKey": "agent:main:main", "sessionId": "s-1", "agentId": "main"}


def use_tools(host: Host, first: int, number: int) -> list[str]:
    """Call the hook of a tool call many times, and return the ids that the events get."""
    calls = [
        host.start(
            "before_tool_call", {"toolName": "exec", "params": {"n": n}, "toolCallId": f"c{n}"}, SESSION
        )
        for n in range(first, first + number)
    ]
    for call in calls:
        answer = host.finish(call)
        assert answer["sync"], "a hook has to return at once"
        assert answer["result"] is None
    return [f"openclaw:s-1:call:c{n}" for n in range(first, first + number)]


def build_prompt(host: Host, run: str) -> Any:
    """Call the hook of a prompt, and return what is added to it."""
    return host.call(
        "before_prompt_build", {"prompt": f"of {run}", "messages": []}, {**SESSION, "runId": run}
    )


def test_killed_daemon_gets_every_event_once_and_in_order(daemon: Daemon, host_factory: HostFactory) -> None:
    """What was not acknowledged is sent again to the next daemon, with the same ids."""
    host = host_factory(daemon.socket)
    ids: list[str] = []
    for round_ in range(ROUNDS):
        ids += use_tools(host, round_ * CALLS, CALLS)
        daemon.kill()
        ids += use_tools(host, 10_000 + round_ * CALLS, CALLS)
        daemon.start()
    wait_until(lambda: len(stored(daemon)) == len(ids), 60, what="all of them are stored")
    daemon.wait_shipped()
    with connect("main", socket=daemon.socket) as client:
        shipped = [json.loads(event.body)["id"] for event in client.tail(stream="openclaw-events", credit=64)]
    assert shipped == ids
    log = host.log()
    assert sum("cannot go to eventd" in line for line in log) <= ROUNDS, log
    assert not any("dropped" in line for line in log)


def test_paused_daemon_holds_up_no_hook(daemon: Daemon, host_factory: HostFactory) -> None:
    """Nothing waits for an answer that does not come; a prompt goes without, and gets it when it is there."""
    host = host_factory(daemon.socket)
    remember(daemon, "main", "Ada likes trains")
    ids = use_tools(host, 0, 10)
    wait_until(lambda: len(stored(daemon)) == len(ids) + 1, what="the connection works")
    daemon.pause()
    ids += use_tools(host, 10, 500)
    first = host.call("before_prompt_build", {"prompt": "hi", "messages": []}, {**SESSION, "runId": "r1"})
    second = host.call("before_prompt_build", {"prompt": "ho", "messages": []}, {**SESSION, "runId": "r2"})
    assert first is None
    assert second is None
    daemon.resume()
    wait_until(
        lambda: len(stored(daemon)) == len(ids) + 3, 60, what="all of them are stored, with the two prompts"
    )
    later = wait_until(
        lambda: host.call(
            "before_prompt_build", {"prompt": "he", "messages": []}, {**SESSION, "runId": "r2"}
        ),
        what="the answer is there",
    )
    assert "Ada likes trains" in later["appendSystemContext"]


def test_daemon_that_comes_later_gets_what_was_before(host_factory: HostFactory, short_tmp: Path) -> None:
    """Nobody has to start eventd first."""
    daemon = Daemon(short_tmp / "d", {})
    host = host_factory(daemon.socket)
    ids = use_tools(host, 0, 50)
    assert (
        host.call("before_prompt_build", {"prompt": "hi", "messages": []}, {**SESSION, "runId": "r1"}) is None
    )
    with daemon.start():
        wait_until(lambda: len(stored(daemon)) == len(ids) + 1, 60, what="all of them are stored")


def test_gateway_that_stops_hands_over_what_it_holds(daemon: Daemon, host_factory: HostFactory) -> None:
    """The process ends right after that; and nothing of ours keeps it from ending."""
    host = host_factory(daemon.socket)
    ids = use_tools(host, 0, 1000)
    host.call("gateway_stop", {"reason": "gateway stopping"})
    assert len(stored(daemon)) == len(ids) + 1
    assert host.end() == 0


def test_gateway_that_stops_without_eventd_does_not_wait(host_factory: HostFactory, short_tmp: Path) -> None:
    """What is held is lost then; it goes on at once when it has tried."""
    host = host_factory(short_tmp / "nobody.sock")
    use_tools(host, 0, 5)
    for hook, event in (
        ("session_end", {"sessionId": "s-1", "messageCount": 1, "reason": "shutdown"}),
        ("gateway_stop", {}),
    ):
        host.call(hook, event, SESSION)
    assert host.end() == 0


def test_run_without_a_gateway_hands_over_before_it_ends(daemon: Daemon, host_factory: HostFactory) -> None:
    """`openclaw agent --local` waits for this hook and ends."""
    host = host_factory(daemon.socket)
    ids = use_tools(host, 0, 20)
    host.call("agent_end", {"runId": "r1", "success": True, "messages": []}, SESSION)
    assert len(stored(daemon)) == len(ids) + 1
    assert host.end() == 0, "the connection must not keep it"


def refuse_newly(peer: Peer, emit: Emit) -> None:
    """Refuse with a code that this version does not know."""
    peer.send(Error(code="from_the_future", message="scripted", id=emit.id))


LATER = {
    "lost ack": lose_ack,
    "outbox_full": refuse("outbox_full"),
    "slow_down": refuse("slow_down", retry_after_ms=50),
    "shutting_down": refuse("shutting_down"),
    "internal": dismiss("internal"),
    "unknown code": refuse_newly,
}


@pytest.mark.parametrize("step", LATER.values(), ids=LATER)
def test_what_may_work_later_is_sent_again(
    server: ScriptedServer, host_factory: HostFactory, step: Step
) -> None:
    """With the same ids and the same content, and nothing is lost."""
    server.script.append(step)
    host = host_factory(server.path, {"inject": False})
    ids = use_tools(host, 0, 30)
    wait_until(lambda: len(server.stored) == len(ids) and len(server.emits) > 1, 30, what="they came again")
    assert list(server.stored) == ids


NEVER = {"malformed": 1, "too_large": 1, "forbidden": 1, "id_conflict": 1, "disabled": 3, "bad_request": 3}


@pytest.mark.parametrize(("code", "lost"), NEVER.items(), ids=NEVER)
def test_what_never_works_is_dropped_and_the_rest_is_sent(
    server: ScriptedServer, host_factory: HostFactory, code: str, lost: int
) -> None:
    """It is told once; that eventd has an event already is no loss."""
    server.script.append(refuse(code, index=0))
    host = host_factory(server.path, {"inject": False})
    said = [{"role": "assistant", "content": text, "timestamp": 1_790_000_000_000} for text in ("one", "two")]
    host.call("agent_end", {"runId": "r1", "success": True, "messages": said}, SESSION)
    wait_until(lambda: len(server.stored) == 3 - lost, what="the others came")
    assert len(server.emits[0].events) == 3
    use_tools(host, 0, 1)
    wait_until(lambda: "openclaw:s-1:call:c0" in server.stored, what="it goes on")
    assert sum("dropped" in line for line in host.log()) == (code != "id_conflict")


def test_refused_greeting_is_told_once(server: ScriptedServer, host_factory: HostFactory) -> None:
    """A person has to act; hooks go on meanwhile."""
    server.greeting = send_away("unauthorised")
    host = host_factory(server.path)
    use_tools(host, 0, 5)
    wait_until(lambda: server.hellos, what="it has greeted")
    wait_until(lambda: any("unauthorised" in line for line in host.log()), what="it is told")
    use_tools(host, 5, 5)
    assert sum("events cannot go" in line for line in host.log()) == 1


def test_token_of_the_environment_is_shown(server: ScriptedServer, host_factory: HostFactory) -> None:
    """With the agent that the configuration names."""
    host = host_factory(server.path, {"speaker": "gateway"}, environ={"EVENTD_TOKEN": "s3cret"})
    use_tools(host, 0, 1)
    hello = wait_until(lambda: server.hellos, what="it has greeted")[0]
    assert (hello.agent, hello.token) == ("gateway", "s3cret")
    assert "OpenClaw 2026.9.6" in hello.client


def test_folder_that_others_can_write_to_is_not_used(host_factory: HostFactory, short_tmp: Path) -> None:
    """Somebody else may have put a socket there to read what agents say."""
    with ScriptedServer(short_tmp / "eventd.sock") as server:
        server.start()
        short_tmp.chmod(0o777)
        host = host_factory(server.path)
        use_tools(host, 0, 1)
        wait_until(lambda: any("others can write" in line for line in host.log()), what="it is told")
        assert server.hellos == []
