"""The high-water mark: a small file beside the database that tells how far the outbox had come.

SQLite takes a write-ahead log that ends early for one that was never longer, and a page can take the
only record of a watermark with it. The mark is the second witness: written after each commit and
before its acknowledgements, so whatever it claims was on disk. It is not synced each time; after a
power cut it may lag, which claims too little, never too much. It *is* synced before rows are deleted,
so that a row that is gone can always be told from a row that is lost.
"""

import json
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Self
from zlib import crc32

from ..errors import DiskFailure, OutboxError
from .disk import FULL_ERRNOS, sync_file

MAGIC = b"eventd-2"
SLOT = 20 * 1024  # bytes; written in turns, so that one is whole at any time
ROUTES_AT = 2 * SLOT
ROUTES_MAX = 1024 * 1024  # bytes
REMOVED_MAX = 256  # dead letters that were removed; those before them are only known by `dead_id`

# magic, turn, last_seq, pending, dead, dead_id, all_removed, number of removals, number of routes
_HEAD = struct.Struct(">8sQQQQQ?II")
_REMOVAL = struct.Struct(">QQ")  # number, became
_ROUTE = struct.Struct(">QQQ")  # number, rewinds, settled
_CRC = struct.Struct(">I")
_MOST_ROUTES = (SLOT - _HEAD.size - _CRC.size - REMOVED_MAX * _REMOVAL.size) // _ROUTE.size

RouteIdentity = tuple[int, str, str, str]
"""Number, name, stream, prefix."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the outbox had come at a commit.

    Attributes:
        last_seq: Newest outbox number that was given out.
        pending: Number of pending rows.
        dead: Number of dead letters.
        settled: (rewinds, watermark) by route; the greater pair is the newer.
        dead_id: Tells which dead letters these are: the `dead_id` of each, combined by XOR.
        removed: Dead letters that are no more, oldest first: (number, number of the row that it became
            again, 0 if it was dropped).
        all_removed: Whether `removed` has every one since the file was made.
    """

    last_seq: int = 0
    pending: int = 0
    dead: int = 0
    settled: dict[int, tuple[int, int]] = field(default_factory=dict)
    dead_id: int = 0
    removed: tuple[tuple[int, int], ...] = ()
    all_removed: bool = True


def dead_id(numbers: Iterable[int]) -> int:
    """Return what tells a set of dead letters from another one, in 64 bits.

    A real hash of each number: plain numbers, or their CRCs, would cancel each other out.
    """
    combined = 0
    for number in numbers:
        combined ^= int.from_bytes(blake2b(number.to_bytes(8, signed=True), digest_size=8).digest())
    return combined


class MarkFile:
    """The open mark.

    Attributes:
        found: What the file said when it was opened; None when it was absent or damaged.
        routes: Identities of the routes it knows.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd
        self._synced = False
        head = os.pread(fd, ROUTES_AT, 0)
        if not head:
            self._put(bytes(ROUTES_AT), 0)  # take the room now: a full disk must not stop the mark
        slots: list[tuple[int, Mark | None]] = [
            slot for at in (0, SLOT) if (slot := _decode(head[at : at + SLOT]))
        ]
        self._turn, self.found = max(slots, default=(0, None), key=lambda slot: slot[0])
        self.routes = _decode_routes(os.pread(fd, ROUTES_MAX, ROUTES_AT))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the mark at `path`, or make an empty one.

        Raises:
            OutboxError: It cannot be opened.
        """
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OutboxError(
                f"cannot open {path}: {error.strerror}", hint="the daemon's user must be able to write it"
            ) from error
        return cls(path, fd)

    def write(self, mark: Mark) -> None:
        """Note how far the outbox has come.

        Raises:
            DiskFailure: The disk does not take it.
        """
        self._turn += 1
        pairs = list(mark.settled.items())[-_MOST_ROUTES:]
        removed = mark.removed[-REMOVED_MAX:]
        all_removed = mark.all_removed and len(removed) == len(mark.removed)
        numbers = (self._turn, mark.last_seq, mark.pending, mark.dead, mark.dead_id)
        parts = [_HEAD.pack(MAGIC, *numbers, all_removed, len(removed), len(pairs))]
        parts += [_REMOVAL.pack(number, became) for number, became in removed]
        parts += [_ROUTE.pack(number, rewinds, settled) for number, (rewinds, settled) in pairs]
        data = b"".join(parts)
        self._put(data + _CRC.pack(crc32(data)), SLOT * (self._turn % 2))

    def name_routes(self, routes: list[RouteIdentity]) -> None:
        """Note the identities of all routes, durably."""
        data = json.dumps(routes).encode()
        self._put(_CRC.pack(len(data)) + data + _CRC.pack(crc32(data)), ROUTES_AT)
        self.routes = routes
        self.sync()

    def sync(self) -> None:
        """Bring the mark to disk, if it is not there yet.

        Raises:
            DiskFailure: The disk does not confirm it.
        """
        if self._synced:
            return
        try:
            sync_file(self._fd)
        except OSError as error:
            raise DiskFailure(f"cannot sync {self.path}: {error.strerror}") from error
        self._synced = True

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _put(self, data: bytes, offset: int) -> None:
        self._synced = False
        try:
            os.pwrite(self._fd, data, offset)
        except OSError as error:
            # A full copy-on-write disk may refuse even this; the mark then claims too little, which is safe.
            if error.errno not in FULL_ERRNOS:
                raise DiskFailure(f"cannot write {self.path}: {error.strerror}") from error


def _decode(slot: bytes) -> tuple[int, Mark] | None:
    if len(slot) < _HEAD.size:
        return None
    magic, turn, last_seq, pending, dead, identity, all_removed, removals, count = _HEAD.unpack_from(slot)
    routes_at = _HEAD.size + removals * _REMOVAL.size
    end = routes_at + count * _ROUTE.size
    if magic != MAGIC or len(slot) < end + _CRC.size or _CRC.unpack_from(slot, end)[0] != crc32(slot[:end]):
        return None
    removed = tuple(_REMOVAL.iter_unpack(slot[_HEAD.size : routes_at]))
    routes = _ROUTE.iter_unpack(slot[routes_at:end])
    settled = {number: (rewinds, upto) for number, rewinds, upto in routes}
    return turn, Mark(last_seq, pending, dead, settled, identity, removed, all_removed)


def _decode_routes(data: bytes) -> list[RouteIdentity]:
    if len(data) < _CRC.size:
        return []
    end = _CRC.size + _CRC.unpack_from(data)[0]
    text = data[_CRC.size : end]
    if not text or len(data) < end + _CRC.size or _CRC.unpack_from(data, end)[0] != crc32(text):
        return []  # zeros would pass as an empty text with its checksum
    return [(number, name, stream, prefix) for number, name, stream, prefix in json.loads(text)]
