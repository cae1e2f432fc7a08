"""Logging: one line a record, with its `action` and fields, for people, the journal or machines.

Two belts beside the rule that nothing secret is logged: credentials in URLs are masked in every line, and
control characters in what others sent cannot forge lines or colours. A flood of one message becomes one line
with a count.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from .secret import redact

FLOOD = 5  # lines of one message within WINDOW that are written; the rest is counted
MANY = 200  # lines of one action, whatever they say: strangers choose what is in some of them
WINDOW = 10.0  # seconds
MAX_MESSAGES = 256  # messages whose repeats are counted at a time

PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""syslog's numbers, which systemd reads from `<N>` at the beginning of a line; 7 below them."""

COLOURS: Final = ((logging.ERROR, "31"), (logging.WARNING, "33"), (logging.INFO, "32"))
DIM: Final = "2"

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "action"}
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    10: "\\n",
    9: "\\t",
    13: "\\r",
}


def setup_logging(
    level: str = "info",
    format: str = "auto",  # noqa: A002 - the name of the setting
    *,
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Send the records of the whole process to a stream, in place of any earlier setup.

    Args:
        level: Lowest level that is written: `debug`, `info`, `warning` or `error`.
        format: `human`; `json`, one object a line; `auto`, which is `human`, and in the journal marks each
            line with its priority.
        stream: Standard error when None.
    """
    stream = stream or sys.stderr
    in_journal = format != "human" and _is_journal(stream, environ)
    formatter: logging.Formatter
    if format == "json":
        formatter = JsonFormatter()
    else:
        colour = stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        formatter = HumanFormatter(colour=colour, clock=not in_journal)
    handler = FloodHandler(stream)
    handler.setFormatter(JournalFormatter(formatter) if in_journal else formatter)
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, FloodHandler):
            root.removeHandler(old)
            old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    # What nats-py reports reaches us through its callbacks, which log it once and in our words.
    logging.getLogger("nats").setLevel(logging.DEBUG if level == "debug" else logging.CRITICAL)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


class HumanFormatter(logging.Formatter):
    """`18:30:01 INFO  What happened  action=stable_key field=value`."""

    def __init__(self, *, colour: bool = False, clock: bool = True) -> None:
        super().__init__()
        self._colour = colour
        self._clock = clock

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(record.created)) if self._clock else ""
        level = f"{record.levelname:<7}" if self._clock else ""
        fields = " ".join(f"{name}={_word(value)}" for name, value in _fields(record))
        parts = (
            self._paint(at, DIM),
            self._paint(level, _of_level(COLOURS, record.levelno, DIM)),
            record.getMessage().translate(_CONTROL),
            self._paint(f" {fields}", DIM),
        )
        lines = [" ".join(filter(None, parts)), *_traceback(self, record)]
        return redact("\n".join(lines))

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if text and self._colour else text


class JsonFormatter(logging.Formatter):
    """One object: `time` (UTC), `level`, `logger`, `message`, `action`, the fields, `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        for name, value in _fields(record):
            if name not in line:
                plain = value is None or isinstance(value, bool | int | float)
                line[name] = value if plain else redact(str(value))
        trace = "\n".join(_traceback(self, record))
        if trace:
            line["exception"] = redact(trace)
        return json.dumps(line, ensure_ascii=False)


class JournalFormatter(logging.Formatter):
    """Another formatter's lines, each with its priority: the journal takes every line for itself."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        mark = f"<{_of_level(PRIORITIES, record.levelno, 7)}>"
        return mark + self._inner.format(record).replace("\n", f"\n{mark}")


class FloodHandler(logging.StreamHandler[TextIO]):
    """Writes the first `FLOOD` lines of a message within `WINDOW`; later one line tells how many followed.

    So it does with the first `MANY` lines of an action, whatever they say. What was left out is told before
    the next record of any kind, or when logging ends: nothing wakes up for it. The field `repeated` has the
    number.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._seen: dict[tuple[object, ...], _Flood] = {}
        self._actions: dict[tuple[object, ...], _Flood] = {}  # there are not many

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._tell(record.created)
            if self._is_wanted(record):
                super().emit(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Tell what was left out, and end. The stream stays open."""
        self.acquire()
        try:
            self._tell(None)
        finally:
            self.release()
        super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Let a line go that cannot be written: logging never disturbs what is logged."""

    def _is_wanted(self, record: logging.LogRecord) -> bool:
        key = (record.levelno, _action(record), record.getMessage())
        if key not in self._seen and len(self._seen) >= MAX_MESSAGES:  # the longest known is told now
            self._summarise(self._seen.pop(next(iter(self._seen))))
        message = self._seen.setdefault(key, _Flood(record, FLOOD, "repeated {} times"))
        action = self._actions.setdefault(key[:2], _Flood(record, MANY, "and {} more of this kind"))
        return message.takes(record) and action.takes(record)

    def _tell(self, now: float | None) -> None:
        """End the windows that are over at `now`; a clock that was set back ends them too."""
        for floods in (self._seen, self._actions):
            over = [
                key for key, flood in floods.items() if now is None or not 0 <= now - flood.since < WINDOW
            ]
            for key in over:
                self._summarise(floods.pop(key))

    def _summarise(self, flood: "_Flood") -> None:
        left_out = flood.count - flood.limit
        if left_out > 0:
            record = logging.makeLogRecord(
                vars(flood.last) | {"exc_info": None, "exc_text": None, "args": (), "repeated": left_out}
            )
            record.msg = f"{flood.last.getMessage()} ({flood.told.format(left_out)})"
            super().emit(record)


class _Flood:
    """How often something came since its window began.

    Attributes:
        last: What came last.
        told: What a person is told of those that were left out, with a place for their number.
    """

    __slots__ = ("count", "last", "limit", "since", "told")

    def __init__(self, record: logging.LogRecord, limit: int, told: str) -> None:
        self.since = record.created
        self.last = record
        self.count = 0
        self.limit = limit
        self.told = told

    def takes(self, record: logging.LogRecord) -> bool:
        """Count a record; return whether it is written."""
        self.count += 1
        self.last = record
        return self.count <= self.limit


def _action(record: logging.LogRecord) -> str:
    """Return the stable key of a record; what others log has none, so their logger's name stands in."""
    return str(getattr(record, "action", record.name))


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    yield "action", _action(record)
    for name, value in vars(record).items():
        if name not in _STANDARD:
            yield name, value


def _word(value: object) -> str:
    """Return a value so that fields can be told apart: in quotes where there are spaces in it."""
    text = str(value).translate(_CONTROL)
    if text and " " not in text and '"' not in text:
        return text
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"'


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    text = formatter.formatException(record.exc_info) if record.exc_info else ""
    return [line.translate(_CONTROL) for line in text.splitlines()]


def _of_level[T](table: tuple[tuple[int, T], ...], level: int, otherwise: T) -> T:
    return next((value for lowest, value in table if level >= lowest), otherwise)


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the stream is the one that systemd connected to its journal (`dev:inode`)."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))
