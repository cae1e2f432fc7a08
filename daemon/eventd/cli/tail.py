"""`eventd tail`: the last events, and new ones as they come."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from eventd_ipc.errors import ConnectionLost, NotRunning, Refused, TimedOut

from .options import Time, json_option, option
from .output import is_terminal, notice, print_bytes, print_json, print_line, wants_colour
from .place import Place

if TYPE_CHECKING:
    from eventd_ipc.messages import StoredEvent

LAST = 10  # events that are shown where nothing else is asked for
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds between two tries to reach the daemon again

EPILOG = """\b
Examples:
  eventd tail
  eventd tail -f --agent main
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
@option("--stream", help="Stream to read.  [default: the agent's, else the default one]")
@option("--agent", metavar="NAME", help="Show the events of one agent only.")
@json_option
@option("--raw", is_flag=True, help="Print the stored bytes, one event a line, and nothing else.")
@click.pass_obj
def command(
    place: Place,
    follow: bool,
    last: int | None,
    since: int | None,
    stream: str | None,
    agent: str | None,
    as_json: bool,
    raw: bool,
) -> None:
    """Show the last events, and new ones as they come.

    They are read from one stream of JetStream: what is shown has arrived there.
    """
    if as_json and raw:
        raise click.UsageError("--json and --raw exclude each other")
    if last is not None and since is not None:
        raise click.UsageError("--last and --since exclude each other")
    if last is None and since is None:
        last = LAST
    show = _print_raw if raw else _print_json if as_json else _line_printer()
    for stored in Reading(place, last, since, follow, stream, agent).events():
        show(stored)


class Reading:
    """Reads a stream; while it follows, a daemon that goes away is waited for.

    Args:
        last: Begin this many events before the end.
        since: Begin at this Unix time in milliseconds.
    """

    def __init__(
        self,
        place: Place,
        last: int | None,
        since: int | None,
        follow: bool,
        stream: str | None,
        agent: str | None,
    ) -> None:
        self._place = place
        self._last = last
        self._since = since
        self._follow = follow
        self._stream = stream
        self._agent = agent
        self._reached = False
        self._began: int | None = None
        self._newest: StoredEvent | None = None
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
        with self._place.connect() as client:
            self._reached = True
            if self._newest is not None:
                last, since = None, self._newest.time
            elif self._began is not None:
                last, since = None, self._began if self._since is None else self._since
            else:
                self._began = time.time_ns() // 1_000_000
            for stored in client.tail(
                last=last, since=since, follow=self._follow, stream=self._stream, agent=self._agent
            ):
                self._tell("")
                if not self._is_repeat(stored):
                    self._newest = stored
                    yield stored

    def _is_repeat(self, stored: "StoredEvent") -> bool:
        """Whether it was shown; a stream that was made anew begins with small sequences and later times."""
        newest = self._newest
        return newest is not None and stored.seq <= newest.seq and stored.time <= newest.time

    def _tell(self, trouble: str) -> None:
        """Say once what is waited for, and once that it is over."""
        if trouble == self._trouble:
            return
        notice(f"{trouble}; waiting, Ctrl-C ends it" if trouble else "events come again")
        self._trouble = trouble


def _print_raw(stored: "StoredEvent") -> None:
    print_bytes(stored.body + b"\n")


def _print_json(stored: "StoredEvent") -> None:
    from . import views

    print_json(views.as_json(stored))


def _line_printer() -> Callable[["StoredEvent"], None]:
    from . import views

    terminal, colour = is_terminal(sys.stdout), wants_colour(sys.stdout)

    def show(stored: "StoredEvent") -> None:
        head, text = views.as_line(stored, shutil.get_terminal_size().columns if terminal else None)
        print_line(f"{click.style(head, dim=True) if colour else head}  {text}".rstrip())

    return show
