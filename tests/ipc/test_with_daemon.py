"""The clients against the real daemon."""

from pathlib import Path

import pytest

from eventd_ipc.blocking import connect
from eventd_ipc.errors import NotFound
from eventd_ipc.eventlog import EventLog
from support.daemon import Daemon
from support.waiting import wait_until


def test_killed_daemon_gets_every_event_once_and_in_order(short_tmp: Path) -> None:
    """The log holds what it has no ack for, and sends it again to the next daemon."""
    with Daemon(short_tmp / "d", {}) as daemon, EventLog("main", socket=daemon.socket) as log:
        ids: list[str | None] = []
        for killing in range(3):
            ids += [log.emit({"type": "test.kill", "payload": {"number": n}}) for n in range(1000)]
            wanted = killing * 1000  # of the last round some may be acked, and most are not
            wait_until(lambda: log.stats().acked > wanted, what="something is acked")  # noqa: B023 - called at once
            daemon.restart(kill=True)
        assert log.flush(60)
        assert log.stats().dropped == {}
        daemon.wait_shipped()
        with connect("main", socket=daemon.socket) as client:
            stored = [event.body for event in client.tail(credit=64)]
            found = client.get(ids[-1])
            with pytest.raises(NotFound):
                client.get("no-such-id")
    assert [body.split(b'"')[3].decode() for body in stored] == ids
    assert found.body == stored[-1]
