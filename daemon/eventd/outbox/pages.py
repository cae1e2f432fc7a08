"""Reads the records of a SQLite file page by page, without its trees: what is left when they are broken.

Every page is looked at by itself, so a damaged page costs only what is on it. Pages that SQLite has
freed are read too: the caller tells by checksums and watermarks what is still true.
The format is the one of https://www.sqlite.org/fileformat2.html.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import wal
from .connection import PAGE_SIZE

Value = int | bytes | str | None
Record = tuple[Any, ...]

_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR = 13, 10, 2
_HEADER = 100  # bytes of file header on page 1
_LEAST_LOCAL = (PAGE_SIZE - 12) * 32 // 255 - 23
_MOST_LOCAL_TABLE = PAGE_SIZE - 35
_MOST_LOCAL_INDEX = (PAGE_SIZE - 12) * 64 // 255 - 23
_MOST_PAYLOAD = 1 << 30  # bytes; more is a damaged length


class Unreadable(Exception):
    """A cell or record makes no sense."""


class PageReader:
    """The pages of a database and its log, newest content first."""

    def __init__(self, db: Path, log: Path) -> None:
        self._log = log.read_bytes() if log.exists() else b""
        self._map: mmap.mmap | None = None
        if db.exists() and db.stat().st_size:
            with db.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._newest = wal.committed(self._log)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._map is not None:
            self._map.close()

    def records(self) -> Iterator[tuple[int | None, Record]]:
        """Yield (rowid, record) of every table and (None, record) of every index that can be read."""
        size = len(self._map) if self._map is not None else 0
        last = max([size // PAGE_SIZE, *self._newest])
        for number in range(1, last + 1):
            yield from self._records_of(number)

    def read_on(self) -> Iterator[tuple[int | None, Record]]:
        """Go on behind damage in the log, where SQLite stops; yield what that adds."""
        known = self._newest
        self._newest = wal.readable(self._log)
        for number, at in self._newest.items():
            if known.get(number) != at:
                yield from self._records_of(number)

    def _page(self, number: int) -> bytes:
        if (at := self._newest.get(number)) is not None:
            return self._log[at : at + PAGE_SIZE]
        start = (number - 1) * PAGE_SIZE
        if self._map is None or number < 1 or start + PAGE_SIZE > len(self._map):
            raise Unreadable
        return self._map[start : start + PAGE_SIZE]

    def _records_of(self, number: int) -> Iterator[tuple[int | None, Record]]:
        try:
            page = self._page(number)
        except Unreadable:
            return
        head = _HEADER if number == 1 else 0
        kind = page[head]
        if kind not in (_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR):
            return
        cells = head + (12 if kind == _INDEX_INTERIOR else 8)
        count = min(int.from_bytes(page[head + 3 : head + 5]), (PAGE_SIZE - cells) // 2)
        for pointer in range(cells, cells + 2 * count, 2):
            try:
                yield self._cell(page, int.from_bytes(page[pointer : pointer + 2]), kind)
            except (Unreadable, IndexError, UnicodeDecodeError):
                continue

    def _cell(self, page: bytes, at: int, kind: int) -> tuple[int | None, Record]:
        rowid = None
        if kind == _INDEX_INTERIOR:
            at += 4  # the left child
        size, at = _varint(page, at)
        if kind == _TABLE_LEAF:
            rowid, at = _varint(page, at)
        return rowid, _record(self._payload(page, at, size, table=kind == _TABLE_LEAF))

    def _payload(self, page: bytes, at: int, size: int, *, table: bool) -> bytes:
        most = _MOST_LOCAL_TABLE if table else _MOST_LOCAL_INDEX
        if size <= most:
            return page[at : at + size]
        if size > _MOST_PAYLOAD:
            raise Unreadable
        local = _LEAST_LOCAL + (size - _LEAST_LOCAL) % (PAGE_SIZE - 4)
        if local > most:
            local = _LEAST_LOCAL
        parts = [page[at : at + local]]
        following = int.from_bytes(page[at + local : at + local + 4])
        left = size - local
        while left > 0:
            overflow = self._page(following)
            following = int.from_bytes(overflow[:4])
            parts.append(overflow[4 : 4 + left])
            left -= PAGE_SIZE - 4
        return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    value = value << 8 | data[at + 8]
    return value - (1 << 64) if value >= 1 << 63 else value, at + 9


def _record(payload: bytes) -> Record:
    end, at = _varint(payload, 0)
    start, values = end, []
    while at < end:
        kind, at = _varint(payload, at)
        value, start = _value(payload, start, kind)
        values.append(value)
    if start != len(payload):
        raise Unreadable
    return tuple(values)


_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)  # bytes of the serial types below 10


def _value(payload: bytes, start: int, kind: int) -> tuple[Value, int]:
    if kind >= 12:
        end = start + (kind - 12) // 2
        data = payload[start:end]
        if len(data) < end - start:
            raise Unreadable
        return (data.decode() if kind % 2 else data), end
    if not 0 <= kind < 10 or kind == 7:  # nothing here is a float
        raise Unreadable
    end = start + _SIZES[kind]
    if kind == 0:
        return None, end
    if kind >= 8:
        return kind - 8, end
    return int.from_bytes(payload[start:end], signed=True), end
