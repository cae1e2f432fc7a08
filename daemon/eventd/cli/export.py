"""`eventd export`: stored events as lines of a file, with all that JetStream knows about them."""

import sys
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from eventd_ipc.errors import Refused

from .figures import count, size
from .filters import (
    agent_option,
    run_option,
    session_option,
    since_option,
    text_option,
    type_option,
    until_option,
    visibility_option,
    whose,
)
from .options import file_type, json_option, option
from .output import is_terminal, neutral, notice, print_bytes, print_json
from .place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventd_ipc.blocking import Client

    from ..transfer.files import Writable
    from ..transfer.outgoing import Source
    from .progress import Bar

CHUNK = 256 * 1024  # bytes that are written at once

EPILOG = """\b
Examples:
  eventd export events.ndjson.zst
  eventd export --agent main --since 30d main.ndjson.gz
  eventd export --stream openclaw-events --first 1200 | jq .body.type
  eventd export --type "memory.*" | eventd --socket /other/eventd.sock import

Each line is a JSON object: stream, seq, time, subject, headers, and what was stored as body, byte for byte
(as data, in base64, where that is not one line of JSON). All streams come one after another, each in its
order. A name that ends in .gz or .zst is packed. The file appears when it is whole; `eventd import` reads it.
Events that wait to be shipped are in no stream yet: standard error says how many.
"""


@click.command("export", epilog=EPILOG)
@click.argument("file", type=file_type, required=False)
@agent_option
@session_option
@type_option
@visibility_option
@since_option
@until_option
@run_option
@text_option
@option("--stream", metavar="NAME", help="Only this stream.  [default: all that the routes use]")
@option("--first", type=click.IntRange(min=1), metavar="SEQ", help="Begin at this sequence of each stream.")
@option("--last", type=click.IntRange(min=1), metavar="SEQ", help="End with this one.")
@json_option
@click.pass_obj
def command(
    place: Place,
    /,
    file: Path | None,
    stream: str | None,
    agent: str | None,
    as_json: bool,
    **conditions: Any,
) -> None:
    """Write stored events to a file, as they are.

    They are read from JetStream: all streams, for who is no administrator that of their agent. Without a FILE
    they go to standard output. With --json and a FILE the summary goes there.
    """
    from ..transfer.outgoing import Wanted, records, sources

    if as_json and file is None:
        raise click.UsageError("--json is for the summary, and standard output has the events; give a FILE")
    with place.connect(admin=True) as client:
        found = sources(client, stream)
        wanted = Wanted(agent=whose(client, agent), **conditions)
        with _Journey(found) as journey:
            with _output(file) as output:
                lines = _Lines(output)
                for source in found:
                    for record in records(client, source, wanted):
                        line = record.line()
                        lines.write(line)
                        journey.passed(record.stream, record.seq, len(line))
                    journey.arrived(source)
                lines.flush()
            waiting = _waiting(client)
    if as_json:
        print_json({"file": str(file), **journey.document(), "waiting": waiting})
    else:
        notice(journey.summary(file))
    if not journey.events:
        notice("nothing was found; `eventd status` shows the streams, `eventd query` what meets conditions")
    if waiting:
        notice(f"{count(waiting, 'event')} wait to be shipped and are in no stream yet; see `eventd status`")


@contextmanager
def _output(file: Path | None) -> "Iterator[Writable]":
    if file is None:
        yield _Standard()
        return
    from ..transfer.files import written

    with written(file) as output:
        yield output


class _Standard:
    """Standard output."""

    def write(self, data: bytes, /) -> int:
        print_bytes(data)
        return len(data)


class _Lines:
    """Gathers lines, so that few writes are made."""

    def __init__(self, output: "Writable") -> None:
        self._output = output
        self._lines: list[bytes] = []
        self._size = 0

    def write(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self._size >= CHUNK:
            self.flush()

    def flush(self) -> None:
        if self._lines:
            self._output.write(b"".join(self._lines))
            self._lines.clear()
            self._size = 0


class _Journey:
    """Counts what was written, and shows how far it is.

    Attributes:
        events: How many were written.
    """

    def __init__(self, sources: "list[Source]") -> None:
        self.events = 0
        self._bytes = 0
        self._by_stream: dict[str, int] = {}
        self._end = sum(source.last or 0 for source in sources)
        self._done = 0  # sequences of the streams that are through
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        if is_terminal(sys.stderr) and not is_terminal(sys.stdout):
            from .progress import Bar

            self._bar = Bar(self._end or None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def passed(self, stream: str, seq: int, size: int) -> None:
        """Note that an event was written."""
        self.events += 1
        self._bytes += size
        self._by_stream[stream] = self._by_stream.get(stream, 0) + 1
        if self._bar is not None and not self.events % 100:
            self._bar.advance(self._done + seq, f"{self.events:,} exported")

    def arrived(self, source: "Source") -> None:
        """Note that a stream is through."""
        self._done += source.last or 0

    def document(self) -> dict[str, Any]:
        """Return the summary for programs; `bytes` are those before packing."""
        return {"events": self.events, "bytes": self._bytes, "streams": self._by_stream}

    def summary(self, file: Path | None) -> str:
        """Return the summary for people."""
        streams = ", ".join(f"{neutral(name)} {events:,}" for name, events in self._by_stream.items())
        where = "" if file is None else f" to {file}"
        return (
            f"exported {count(self.events, 'event')}{where} ({streams or 'no stream'}; {size(self._bytes)})"
        )


def _waiting(client: "Client") -> int:
    """Return how many accepted events are in no stream yet; only administrators are told."""
    if "status" not in client.welcome.can:
        return 0
    try:
        return int(client.status()["outbox"]["rows"])
    except Refused:
        return 0
