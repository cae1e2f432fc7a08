"""Standard input as people and programs write it: lines, and events in JSON."""

import os
import select
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from eventd_ipc.errors import MalformedEvent
from eventd_ipc.events import Event
from eventd_ipc.strict import check_fields

CHUNK = 256 * 1024  # bytes read at once
MAX_LINE = 64 * 2**20  # bytes; what is longer is skipped, and never held

_BOM = b"\xef\xbb\xbf"


class _StrictEvent(Event, forbid_unknown_fields=True, omit_defaults=True):
    """An event in which a misspelt key is an error, where the protocol would pass over it."""


_events = msgspec.json.Decoder(_StrictEvent)


def decode_event(text: bytes) -> Event:
    """Return the event of a JSON text.

    Raises:
        MalformedEvent: It is none.
    """
    try:
        event: Event = _events.decode(text)
    except (ValueError, RecursionError) as error:
        reason, _, path = str(error).partition(" - at ")
        raise MalformedEvent(path.strip("`") or "$", reason) from error
    event.__class__ = Event  # the same fields; only the reading was stricter
    check_fields(event)
    return event


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not empty.

    Attributes:
        number: From 1.
        text: None where the line is too long.
        end: Bytes of the input up to and with this line.
    """

    number: int
    text: bytes | None
    end: int


class LineReader:
    """Reads the lines of a file descriptor as they come, without waiting for more than there is.

    Iterating gives the lines of one chunk at a time, so that what a slow writer has written is not kept
    back until it writes more.

    Attributes:
        size: Bytes of the whole input where that is known, else None.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        found = os.fstat(fd)
        self.size = found.st_size or None

    def has_more(self) -> bool:
        """Whether reading goes on at once, with data or the end, rather than waiting for the writer."""
        return bool(select.select([self._fd], [], [], 0)[0])

    def __iter__(self) -> Iterator[list[Line]]:
        cutter = LineCutter(MAX_LINE)
        while data := os.read(self._fd, CHUNK):
            if lines := cutter.cut(data):
                yield lines
        if lines := cutter.end():
            yield lines


class LineCutter:
    """Cuts bytes into lines, however they come; holds no more than one line that is not whole.

    Args:
        max_line: Bytes; what is longer is skipped.
    """

    def __init__(self, max_line: int) -> None:
        self._max_line = max_line
        self._number = 0
        self._offset = 0
        self._rest = bytearray()
        self._skipping = False

    def end(self) -> list[Line]:
        """Return the last line, where nothing has ended it."""
        return self.cut(b"\n") if self._rest or self._skipping else []

    def cut(self, data: bytes) -> list[Line]:
        """Return the lines that are whole with these bytes."""
        first, *others = data.split(b"\n")
        if not self._skipping:
            self._rest += first
        self._offset += len(first)
        lines: list[Line] = []
        if others:
            *whole, rest = others
            self._end_line(bytes(self._rest), lines)
            for text in whole:
                self._offset += len(text)
                self._end_line(text, lines)
            self._rest = bytearray(rest)
            self._offset += len(rest)
        if len(self._rest) > self._max_line:
            self._rest.clear()
            self._skipping = True
        return lines

    def _end_line(self, text: bytes, lines: list[Line]) -> None:
        self._number += 1
        self._offset += 1
        if self._number == 1:
            text = text.removeprefix(_BOM)
        too_long = self._skipping or len(text) > self._max_line
        if too_long or text.strip():
            lines.append(Line(self._number, None if too_long else text, self._offset))
        self._skipping = False
