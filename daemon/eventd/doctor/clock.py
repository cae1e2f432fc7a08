"""Clocks: ours against the server's, and the time of events against both."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventd_ipc.messages import StoredEvent

from ..events.normal import normalise
from ..jetstream.reading import parse_time
from .model import Finding, Level

TITLE = "clock"
AHEAD = 2.0  # seconds that clocks may differ before it is worth a look
FAR = 60.0  # seconds; from here on "recent" and expiry mean something else


@dataclass(frozen=True, slots=True)
class Skew:
    """By how much the server's clock is ahead of ours, seconds, and how sure that is."""

    seconds: float
    doubt: float


def skew_of(answer: Mapping[str, Any], sent: float, received: float) -> Skew | None:
    """Return what an answer with the server's time says; None where it has none.

    Args:
        answer: Of the JetStream API.
        sent, received: Our clock before and after, Unix seconds.
    """
    try:
        theirs = parse_time(str(answer["ts"])) / 1000
    except (KeyError, ValueError):
        return None
    return Skew(theirs - (sent + received) / 2, (received - sent) / 2)


def clock_finding(skew: Skew | None, route: str) -> Finding:
    """Say whether the server's clock is ours."""
    check = "nats.clock"
    if skew is None:
        text = "this server does not tell its time (nats-server 2.10 or newer does)"
        return Finding(check, Level.NOTE, TITLE, text, route=route, made=False)
    apart = abs(skew.seconds) - skew.doubt
    if apart <= AHEAD:
        return Finding(
            check, Level.OK, TITLE, f"the server's differs by {_span(abs(skew.seconds))}", route=route
        )
    which = "ahead of" if skew.seconds > 0 else "behind"
    return Finding(
        check,
        Level.PROBLEM if apart > FAR else Level.WARNING,
        TITLE,
        f"the server's is {_span(abs(skew.seconds))} {which} ours: events expire by the one, "
        "and are asked for by the other",
        "let both machines take their time from NTP: `timedatectl`, `chronyc tracking`",
        route=route,
    )


def future_finding(events: Sequence[StoredEvent], now: int) -> Finding:
    """Say whether any event claims to be from the future: its writer's clock is ahead.

    Args:
        events: The newest ones by their own time.
        now: Unix milliseconds.
    """
    check, title = "events.clock", "time of events"
    latest, writer = 0, ""
    for stored in events:
        event = normalise(stored.body)
        if event is not None and event.time is not None and event.time > latest:
            latest, writer = event.time, event.agent
    ahead = (latest - now) / 1000
    if ahead <= AHEAD:
        return Finding(check, Level.OK, title, "none is from the future")
    return Finding(
        check, Level.WARNING, title,
        f"an event of {writer or 'nobody'} is {_span(ahead)} in the future, and the newest until then",
        "set the clock of the machine that wrote it, and its timestamps to Unix milliseconds",
    )  # fmt: skip


def now_ms() -> int:
    """Return the time of day in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def _span(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
