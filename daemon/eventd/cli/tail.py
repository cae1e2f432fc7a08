"""`eventd tail`: the last events, and new ones as they come."""

import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from eventd_ipc.errors import ConnectionLost, NotRunning, Refused, TimedOut

from .filters import (
    agent_option,
    run_option,
    session_option,
    text_option,
    type_option,
    visibility_option,
    whose,
)
from .options import Time, json_option, option
from .output import notice
from .place import Place
from .printing import event_printer, raw_option

if TYPE_CHECKING:
    from eventd_ipc.messages import StoredEvent

LAST = 10  # events that are shown where nothing else is asked for
REMEMBERED = 10_000  # shown events of which a repeat is known; more than are accepted in one millisecond
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds between two tries to reach the daemon again

EPILOG = """\b
Examples:
  eventd tail
  eventd tail -f --agent main --type "conversation.*"
  eventd tail --since 2h --json | jq -r .event.type | sort | uniq -c
  eventd tail --since yesterday --stream events-my-agent

Times are spans back from now (30m, 2d), today, yesterday, or dates and times (2026-11-22T18:30). With -f it
goes on behind the last event that it showed when the daemon was restarted.
"""


@click.command("tail", epilog=EPILOG)
@option("-f", "--follow", is_flag=True, help="Go on with new events as they come.")
@option(
    "-n",
    "--last",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Begin N events before the end.  [default: {LAST}]",
)
@option("--since", type=Time(), metavar="TIME", help="Begin at a time: 1h, yesterday, 2026-11-22T18:30.")
@agent_option
@session_option
@type_option
@visibility_option
@run_option
@text_option
@option("--stream", metavar="NAME", help="Read this stream of JetStream itself, rather than the index.")
@json_option
@raw_option
@click.pass_obj
def command(
    place: Place,
    /,
    follow: bool,
    last: int | None,
    since: int | None,
    agent: str | None,
    as_json: bool,
    raw: bool,
    **conditions: Any,
) -> None:
    """Show the last events, and new ones as they come.

    They come from the index in the order of their arrival, also before they are in their stream. With
    --stream they are read from that stream: what is shown has arrived there.
    """
    show = event_printer(as_json=as_json, raw=raw)
    if last is not None and since is not None:
        raise click.UsageError("--last and --since exclude each other")
    if last is None and since is None:
        last = LAST
    for stored in Reading(place, last, since, follow, agent, conditions).events():
        show(stored)


class Reading:
    """Reads events as they come; while it follows, a daemon that goes away is waited for.

    Args:
        last: Begin this many events before the end.
        since: Begin at this Unix time in milliseconds.
        agent: Whose events; all that may be read when absent.
        conditions: Which events, as `Client.tail` takes them.
    """

    def __init__(
        self,
        place: Place,
        last: int | None,
        since: int | None,
        follow: bool,
        agent: str | None,
        conditions: dict[str, Any],
    ) -> None:
        self._place = place
        self._last = last
        self._since = since
        self._follow = follow
        self._agent = agent
        self._conditions = conditions
        self._reached = False
        self._began: int | None = None
        self._shown = _Shown()
        self._trouble = ""

    def events(self) -> Iterator["StoredEvent"]:
        """Yield the events, each once.

        Raises:
            EventdClientError: They cannot be read. While it follows, only what waiting does not heal.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                for stored in self._read():
                    pause = FIRST_PAUSE
                    yield stored
                if not self._follow:
                    return
            except (ConnectionLost, NotRunning, TimedOut, Refused) as error:
                passes = error.retryable if isinstance(error, Refused) else self._reached
                if not self._follow or not passes:
                    raise
                if isinstance(error, Refused) and error.code == "unavailable":
                    self._began = None  # NATS was not asked yet
                self._tell(str(error.args[0]))
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _read(self) -> Iterator["StoredEvent"]:
        """Read until the connection or the stream ends, from where the last reading was."""
        last, since = self._last, self._since
        with self._place.connect(admin=True) as client:
            self._reached = True
            if (shown := self._shown.resume()) is not None:
                last, since = None, shown
            elif self._began is not None:
                last, since = None, self._began if self._since is None else self._since
            else:
                self._began = time.time_ns() // 1_000_000
            agent = whose(client, self._agent)
            for stored in client.tail(
                last=last, since=since, follow=self._follow, agent=agent, **self._conditions
            ):
                self._tell("")
                if self._shown.add(stored):
                    yield stored

    def _tell(self, trouble: str) -> None:
        """Say once what is waited for, and once that it is over."""
        if trouble == self._trouble:
            return
        notice(f"{trouble}; waiting, Ctrl-C ends it" if trouble else "events come again")
        self._trouble = trouble


class _Shown:
    """What was shown: events may have no id, and no sequence yet, so each is known by all that it says."""

    def __init__(self) -> None:
        self._time: int | None = None
        self._keys: deque[int] = deque(maxlen=REMEMBERED)
        self._repeats: Counter[int] = Counter()

    def resume(self) -> int | None:
        """Return from which time on to read again, None where nothing was shown.

        What was shown by now is expected once more.
        """
        self._repeats = Counter(self._keys)
        return self._time

    def add(self, stored: "StoredEvent") -> bool:
        """Note an event and return whether it is new. Sequence and time of a repeat may have changed."""
        key = hash((stored.stream, stored.subject, stored.body))
        if self._repeats[key]:
            self._repeats[key] -= 1
            return False
        self._keys.append(key)
        self._time = max(stored.time, self._time or 0)
        return True
