"""What readers see of a rebuild of the index: nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventd_ipc.blocking import Client, connect
from eventd_ipc.builders import Run, message_in
from eventd_ipc.messages import StoredEvent
from support.daemon import Daemon
from support.waiting import wait_until

RUN = Run("agent:main:main")
OLD = [f"old {n}" for n in range(30)]


@pytest.fixture
def client(short_tmp: Path) -> Iterator[Client]:
    """A client of a daemon whose stream holds old events that the outbox does not retain any more."""
    with (
        Daemon(short_tmp / "d", {"outbox": {"retain": "4s"}}) as daemon,
        connect("main", socket=daemon.socket) as connected,
    ):
        connected.emit([message_in(RUN, text) for text in OLD])
        daemon.wait_for(
            lambda status: not status["outbox"]["rows"] and not status["outbox"]["retained_rows"],
            what="nothing is retained any more",
        )
        yield connected


def rebuild(client: Client) -> None:
    client.index("rebuild")
    wait_until(lambda: client.index()["state"] == "ready", 30, what="the index is ready")


def text(event: StoredEvent) -> str:
    said: str = json.loads(event.body)["payload"]["data"]["text"]
    return said


def test_who_follows_sees_new_events_only(client: Client) -> None:
    """What fills the index again was shown before; what comes meanwhile and later was not."""
    with client.tail(last=1, follow=True) as events:
        assert text(next(events)) == OLD[-1]
        for round_ in ("one", "two"):
            client.emit(message_in(RUN, f"before {round_}"))
            assert text(next(events)) == f"before {round_}"
            rebuild(client)
            client.emit(message_in(RUN, f"after {round_}"))
            assert text(next(events)) == f"after {round_}"


def test_the_last_events_stay_the_last(client: Client) -> None:
    """The outbox gives the newest events back first, the stream the old ones behind them."""
    client.emit([message_in(RUN, "new 1"), message_in(RUN, "new 2")])
    rebuild(client)
    assert [text(event) for event in client.tail(last=3)] == [OLD[-1], "new 1", "new 2"]
    assert [text(event) for event in client.tail()] == [*OLD, "new 1", "new 2"]
