"""What must go on under every configuration: an agent's own work, by plain nats-py and by the daemon."""

import json

from eventd_ipc.blocking import connect
from support.daemon import Daemon
from support.load import emit

from .parties import Connection

EVENTS = 20


async def do_own_work(connection: Connection) -> None:
    """Publish to one's own stream, and read it in each way that the daemon does."""
    own = connection.party
    ack = json.loads((await connection.ask(own.event, b"own", {"Nats-Expected-Stream": own.stream})).data)
    assert ack["stream"] == own.stream
    read = await connection.api(f"STREAM.MSG.GET.{own.stream}", {"seq": ack["seq"]})
    assert read["message"]["subject"] == own.event
    assert (await connection.api(f"STREAM.INFO.{own.stream}"))["state"]["last_seq"] >= ack["seq"]
    config = {"name": "own", "ack_policy": "none", "deliver_policy": "last"}
    await connection.api(f"CONSUMER.CREATE.{own.stream}.own", {"stream_name": own.stream, "config": config})
    assert (await connection.pull(own.stream, "own")).data == b"own"
    await connection.api(f"CONSUMER.DELETE.{own.stream}.own")


def let_everybody_work(daemon: Daemon, agents: list[str]) -> dict[str, list[str]]:
    """Let agents emit, over a restart with events that wait, and read; return the ids by agent."""
    acked = {agent: emit(daemon.socket, agent, range(1, EVENTS + 1)) for agent in agents}
    daemon.wait_healed()
    for agent in agents:  # what was there at the restart is looked up in the stream
        acked[agent] += emit(daemon.socket, agent, range(EVENTS + 1, 2 * EVENTS + 1))
    daemon.restart(kill=True)
    for agent in agents:
        acked[agent] += emit(daemon.socket, agent, range(2 * EVENTS + 1, 3 * EVENTS + 1))
    daemon.wait_healed()
    for agent in agents:
        with connect(agent, socket=daemon.socket) as client:
            from_index = [json.loads(event.body)["id"] for event in client.tail(last=1000, agent=agent)]
            replayed = list(client.replay(agent=agent))
            stream = replayed[0].stream
            from_stream = list(client.tail(last=1000, agent=agent, stream=stream))
            assert client.get(acked[agent][0], agent=agent, stream=stream).stream == stream
        assert set(from_index) >= set(acked[agent])
        assert len(replayed) == len(from_stream) == len(acked[agent])
    status = daemon.status()
    assert status["health"]["state"] == "ok"
    assert [denied for route in status["routes"] for denied in route["denied"]] == []
    return acked
