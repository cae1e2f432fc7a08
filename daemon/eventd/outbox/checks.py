"""Checksums of rows, and the ledger's key of an id."""

import re
from hashlib import blake2b
from typing import Any
from zlib import crc32

NEVER_EXPIRES = 1
"""Bit in `flags` of a row."""

_is_uuid = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


def row_crc(
    seq: int, route: int, owner: int, msg_id: bytes, subject: bytes, flags: int, at: int, body: bytes
) -> int:
    """Return the checksum of an event's row; the columns come in the table's order."""
    return row_crc_with(row_crc_part(route, owner, flags, at), seq, msg_id, subject, body)


def row_crc_part(route: int, owner: int, flags: int, at: int) -> bytes:
    """Return the part of a checksum that many rows have in common, for `row_crc_with`."""
    return b" %d %d %d %d " % (route, owner, flags, at)


def row_crc_with(part: bytes, seq: int, msg_id: bytes, subject: bytes, body: bytes) -> int:
    """Return the same as `row_crc`, in less time."""
    return crc32(body, crc32(b"%d%b%b %b " % (seq, part, msg_id, subject)))


def row_is_sound(record: tuple[Any, ...]) -> bool:
    """Whether a record of the table `rows` fits its checksum.

    Raises:
        TypeError: A column holds another type than was stored.
    """
    seq, route, owner, msg_id, subject, flags, at, crc, body = record
    return bool(crc == row_crc(seq, route, owner, msg_id, subject, flags, at, body))


def seal(table: str, *values: object) -> int:
    """Return the checksum of a row of one of the small tables."""
    return crc32(f"{table}{values!r}".encode())


def ledger_key(event_id: str) -> bytes:
    """Return the ledger's key of an id: a UUID's own 16 bytes, else a hash of 17, so that they never meet.

    Only the canonical form counts as a UUID: two spellings of one UUID are two ids.
    """
    if len(event_id) == 36 and _is_uuid(event_id):
        return bytes.fromhex(event_id.replace("-", ""))
    return blake2b(event_id.encode(), digest_size=17).digest()


def signed(digest: int) -> int:
    """Fold an unsigned 64-bit digest into the range of SQLite's integers."""
    digest &= 0xFFFF_FFFF_FFFF_FFFF
    return digest if digest < 1 << 63 else digest - (1 << 64)
