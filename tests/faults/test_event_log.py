"""G9, with G2 and G3: agents that use `EventLog` go on talking, whatever happens to the daemon."""

import random

import pytest

from eventd_ipc.eventlog import EventLog
from support.daemon import Daemon
from support.jetstream import JetStream
from support.load import event
from support.oracle import check
from support.rounds import EVENT_LOG_KILLS

pytestmark = pytest.mark.faults

PATIENCE = 60.0  # seconds for what is held to be stored


def test_what_agents_say_while_the_daemon_is_killed_is_stored(daemon: Daemon, jetstream: JetStream) -> None:
    """Before, during and after each kill; nothing is dropped, nothing is there twice."""
    logs = {agent: EventLog(agent, socket=daemon.socket) for agent in ("main", "tim")}
    said: dict[str, list[str]] = {agent: [] for agent in logs}

    def talk() -> None:
        for _ in range(random.randint(50, 400)):
            for agent, log in logs.items():
                event_id = log.emit(event(agent, len(said[agent]) + 1))
                assert event_id is not None
                said[agent].append(event_id)

    for kill in range(EVENT_LOG_KILLS):
        talk()
        daemon.kill()
        talk()
        daemon.start()
        if kill % 4 == 3:  # before the buffers are full
            assert all(log.flush(PATIENCE) for log in logs.values())
    for log in logs.values():
        assert log.flush(PATIENCE), log.stats()
        log.close()
        assert log.stats().dropped == {}
    daemon.wait_shipped()
    check(said, jetstream.read())


def test_an_outage_that_is_too_long_for_the_buffer_drops_and_counts(
    daemon: Daemon, jetstream: JetStream
) -> None:
    """What was refused a place is known by its id, and everything else is stored."""
    with EventLog("main", socket=daemon.socket, max_events=100) as log:
        daemon.kill()
        ids = [log.emit(event("main", number)) for number in range(1, 501)]
        daemon.start()
        assert log.flush(PATIENCE), log.stats()
        taken = [event_id for event_id in ids if event_id is not None]
        assert log.stats().dropped == {"buffer_full": 500 - len(taken)}
        assert len(taken) >= 100
    daemon.wait_shipped()
    check({"main": taken}, jetstream.read())
