"""Reads SQLite's write-ahead log without SQLite, which stops at the first frame that is not whole.

The format is the one of https://www.sqlite.org/fileformat2.html#the_write_ahead_log. A frame's checksum
goes on from the one of the frame before it, as *stored*: so the frames behind a damaged one can still
be checked.
"""

import struct
import sys
from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

from .connection import PAGE_SIZE

HEADER = 32  # bytes
FRAME = 24 + PAGE_SIZE  # bytes

_BIG_ENDIAN, _LITTLE_ENDIAN = 0x377F0683, 0x377F0682  # magic numbers
_FRAME_HEAD = struct.Struct(">IIIIII")  # page, pages after commit, salt, salt, checksum, checksum
_MASK = 0xFFFF_FFFF


class Frame(NamedTuple):
    """A page as some transaction left it.

    Attributes:
        at: Where its content is in the log.
        commit: Whether it is the last one of its transaction.
        sound: Whether its checksum is right.
    """

    page: int
    at: int
    commit: bool
    sound: bool


def frames(log: bytes) -> Iterator[Frame]:
    """Yield all frames in order. Those of the log's earlier rounds, behind the others, are not sound:
    they bear another salt.
    """
    if len(log) < HEADER + FRAME:
        return
    magic, salts, before = struct.unpack_from(">I", log)[0], log[16:24], struct.unpack_from(">II", log, 24)
    little = magic == _LITTLE_ENDIAN if magic in (_BIG_ENDIAN, _LITTLE_ENDIAN) else sys.byteorder == "little"
    known = [log[at + 8 : at + 16] for at in range(HEADER, len(log) - FRAME + 1, FRAME)]
    if salts not in known:
        salts = known[0]  # the header is what is damaged
    for index, salt in enumerate(known):
        at = HEADER + index * FRAME
        page, pages, _, _, *stored = _FRAME_HEAD.unpack_from(log, at)
        words = log[at : at + 8] + log[at + 24 : at + FRAME]
        sound = salt == salts and _checksum(words, before, little=little) == tuple(stored)
        yield Frame(page, at + 24, salt == salts and pages != 0, sound)
        before = (stored[0], stored[1])


def committed(log: bytes) -> dict[int, int]:
    """Return where the newest content of each page is, as SQLite would read the log."""
    return _pages(list(takewhile(lambda frame: frame.sound, frames(log))))


def readable(log: bytes) -> dict[int, int]:
    """Return where the newest sound content of each page is, also behind damaged frames."""
    return _pages(list(frames(log)))


def _pages(log: list[Frame]) -> dict[int, int]:
    ends = [index for index, frame in enumerate(log) if frame.commit]
    whole = log[: ends[-1] + 1] if ends else []
    return {frame.page: frame.at for frame in whole if frame.sound}


def _checksum(data: bytes, before: tuple[int, int], *, little: bool) -> tuple[int, int]:
    one, two = before
    words = iter(struct.unpack(f"{'<' if little else '>'}{len(data) // 4}I", data))
    for first, second in zip(words, words, strict=True):
        one = (one + first + two) & _MASK
        two = (two + second + one) & _MASK
    return one, two
