"""The oracle of the index: what it shows against what the streams hold.

The rule: every message of a stream is in the index once, at its sequence, byte for byte; beside them there is
only what waits to be shipped, and what a stream has held and lost.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from eventd_ipc.blocking import connect
from eventd_ipc.errors import EventdClientError

from .daemon import SETTLE_TIMEOUT, Daemon
from .jetstream import STREAM, JetStream, Stored
from .waiting import wait_until

SHOWN = 5  # bodies that a failure shows of each kind
LENGTH = 100  # characters of each of them
INTERVAL = 0.2  # seconds between two looks, which read everything

Place = tuple[int, bytes]
"""Sequence and body of an event; 0 while the index does not know the sequence."""


@dataclass(slots=True)
class Findings:
    """What is wrong with the index; all empty when nothing is.

    Attributes:
        missing: In the stream, and not in the index at that sequence.
        repeated: More often in the index than in the stream.
        strange: In the index, and neither in the stream nor allowed beside it.
    """

    missing: list[Place] = field(default_factory=list)
    repeated: list[Place] = field(default_factory=list)
    strange: list[Place] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.missing, self.repeated, self.strange))

    def __str__(self) -> str:
        kinds = (("missing", self.missing), ("repeated", self.repeated), ("strange", self.strange))
        return "; ".join(
            f"{len(places)} {kind}: {[(seq, body[:LENGTH]) for seq, body in places[:SHOWN]]}"
            for kind, places in kinds
            if places
        )


def indexed(daemon: Daemon, stream: str = STREAM) -> list[Place]:
    """Return everything that the index of a daemon holds of a stream."""
    with connect("test", socket=daemon.socket, patience=0) as client:
        events = client.query(agent="*", stream=stream, order="oldest")
        return [(event.seq, bytes(event.body)) for event in events]


def examine(
    index: Iterable[Place], stored: Iterable[Stored], beside: Collection[bytes] = frozenset()
) -> Findings:
    """Compare an index with a stream.

    Args:
        beside: Bodies that may be in the index, once each, without being in the stream (any more).
    """
    found = Findings()
    there, index_places = Counter((message.seq, message.body) for message in stored), Counter(index)
    found.missing += sorted((there - index_places).elements())
    bodies = Counter(body for _, body in there.elements())
    for place in sorted((index_places - there).elements()):
        body = place[1]
        if bodies[body]:
            found.repeated.append(place)
        elif body not in beside:
            found.strange.append(place)
        bodies[body] += 1
    return found


def wait_indexed(
    daemon: Daemon,
    jetstream: JetStream,
    *,
    stream: str = STREAM,
    beside: Collection[bytes] = frozenset(),
    timeout: float = SETTLE_TIMEOUT,
) -> list[Stored]:
    """Wait until the index shows what a stream holds, and return that.

    Raises:
        AssertionError: It does not come to that; says what is wrong.
    """
    last: object = None
    stored: list[Stored] = []

    def same() -> bool:
        nonlocal last, stored
        assert daemon.running, f"eventd ended\n{daemon.complaint()}"
        stored = jetstream.read(stream)
        try:
            last = examine(indexed(daemon, stream), stored, beside)
        except EventdClientError as error:
            last = error
            return False
        return not last

    wait_until(
        same,
        timeout,
        what=lambda: f"the index is the stream: {last}\n{daemon.complaint()}",
        interval=INTERVAL,
    )
    return stored
