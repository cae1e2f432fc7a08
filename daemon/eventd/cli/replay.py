"""`eventd replay`: the events of a stream once more, in its order."""

import sys
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from eventd_ipc.errors import Refused

from .figures import count
from .filters import (
    agent_option,
    run_option,
    session_option,
    since_option,
    type_option,
    until_option,
    visibility_option,
    whose,
)
from .options import Speed, json_option, option
from .output import OutputClosed, is_terminal, neutral, notice
from .place import Place
from .printing import event_printer, raw_option

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client
    from eventd_ipc.messages import StoredEvent

    from .progress import Bar

EPILOG = """\b
Examples:
  eventd replay --raw > events.ndjson
  eventd replay --first 1200 --last 1300 --speed 10x
  eventd replay --since yesterday --session agent:main:main --speed 1x
  eventd replay --since 1h --to debug.replay --json

With a speed the pauses between the events are those of back then, divided by it. With --to the events are
published to a NATS subject too, one that belongs to no stream of eventd. Replaying stores nothing. After
Ctrl-C standard error says with which --first to go on.
"""


@click.command("replay", epilog=EPILOG)
@option("--first", type=click.IntRange(min=1), metavar="SEQ", help="Begin at this sequence of the stream.")
@option("--last", type=click.IntRange(min=1), metavar="SEQ", help="End with this one.")
@since_option
@until_option
@agent_option
@session_option
@type_option
@visibility_option
@run_option
@option("--stream", metavar="NAME", help="Stream to read.  [default: the agent's, else the default one]")
@option(
    "--speed",
    type=Speed(),
    default="max",
    show_default=True,
    help="1x is as fast as it happened, 10x ten times faster, max without pauses.",
)
@option("--to", metavar="SUBJECT", help="Publish the events to this NATS subject too.")
@json_option
@raw_option
@click.pass_obj
def command(
    place: Place,
    /,
    speed: float,
    to: str | None,
    agent: str | None,
    as_json: bool,
    raw: bool,
    **conditions: Any,
) -> None:
    """Show the events of a stream once more, in its order.

    They are read from JetStream up to the newest one; from the index while NATS is away.
    """
    show = event_printer(as_json=as_json, raw=raw)
    with (
        place.connect(admin=True) as client,
        client.replay(**conditions, agent=whose(client, agent), speed=speed or None, to=to) as events,
        _Journey(client, conditions["first"], conditions["last"], to) as journey,
    ):
        for stored in events:
            show(stored)
            journey.passed(stored)
        journey.arrived()


class _Journey:
    """Says how far a replay is, and where to go on with one that was broken off.

    Args:
        first: Sequence at which it begins, where that was said.
        last: With which it ends, likewise.
        to: Subject to which the events are published.
    """

    def __init__(self, client: "Client", first: int | None, last: int | None, to: str | None) -> None:
        self._client = client
        self._first = first
        self._last = last
        self._to = to
        self._seen = 0
        self._seq = 0
        self._over = False
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._over:
            where = f"published to {neutral(self._to)}" if self._to else "replayed"
            if self._to or self._bar is not None:
                notice(f"{count(self._seen, 'event')} {where}")
        elif self._seq and kind is not OutputClosed:  # as `| head` ends it, on purpose
            notice(f"after {count(self._seen, 'event')}; go on with --first {self._seq + 1}")

    def passed(self, stored: "StoredEvent") -> None:
        """Note that an event was shown."""
        if not self._seen:
            self._begin(stored)
        self._seen += 1
        self._seq = max(self._seq, stored.seq)
        if self._bar is not None:
            self._bar.advance(stored.seq - (self._first or 0), f"{self._seen:,} replayed, at {stored.seq:,}")

    def arrived(self) -> None:
        """Note that it came to its end."""
        self._over = True

    def _begin(self, stored: "StoredEvent") -> None:
        # A person who sees the events go by needs no bar between them.
        if is_terminal(sys.stdout) or not is_terminal(sys.stderr):
            return
        from .progress import Bar

        self._first = self._first or stored.seq
        last = self._last or self._end_of(stored.stream)
        self._bar = Bar(max(last - self._first, 1) if last else None)

    def _end_of(self, stream: str) -> int | None:
        """Return the last sequence of a stream where the index knows it; the bar alone wants it."""
        with suppress(Refused):
            for known in self._client.index().get("streams", ()):
                if known.get("name") == stream:
                    last = known.get("last")
                    return last if isinstance(last, int) else None
        return None
