"""OpenClaw's transcripts of the second era: rows of `agents/<id>/agent/openclaw-agent.sqlite`.

Built from the agent schemas 15 to 24 (OpenClaw 2026.7.2 to 2026.9). A row holds an entry as `event_json`,
since schema 23 also packed, as `event_zstd`. What became cold is a packed file of lines, beside the database
or in it. Deleted sessions stay deleted; those that were reset were not forgotten, and are read.

The gateway may be writing meanwhile. We only read: many short reads, and no file is left behind. A database
without a log is opened as one that does not change, as SQLite makes a log and its index even for readers.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import apsw

from .model import MAX_RECORD, Passed, Record, Transcript
from .reading import PackingError, Unreadable, lines_of, unpack, unpacked_lines

TOOL = "openclaw"
BATCH = 500  # rows of one read; a longer one keeps the gateway from cutting its log
BUSY = 5000  # ms that we wait for the gateway
MAX_FILE = 512 * 2**20  # bytes of a file in the database, which is held as a whole

# Where the session key of a session is found; the first table that there is counts.
_KEYS = (
    ("session_windows", "session_id"),
    ("session_nodes", "current_session_id"),
    ("session_entries", "session_id"),
    ("sessions", "session_id"),
)
# Files in the database, and which of them count.
_FILES = {
    "session_transcript_cold_archives": "storage = 'sqlite' AND archive_blob IS NOT NULL",
    "session_transcript_archives": "reason = 'reset'",
}


class Store:
    """An agent's database, read only.

    Raises:
        Unreadable: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unchanging = not _has_log(path)
        self._db = self._opened()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def transcripts(self, agent: str, group: str) -> Iterator[Transcript | Passed]:
        """Yield the sessions in it."""
        columns = self._columns("transcript_events")
        if not {"session_id", "seq", "event_json"} <= columns:
            return  # before the second era it held no sessions
        keys = self._keys()
        size = "octet_length(event_json)"
        if "event_zstd" in columns:
            size = f"coalesce({size}, octet_length(event_zstd))"
        sql = f"SELECT session_id, sum({size}), max(created_at) FROM transcript_events GROUP BY session_id"
        for session, taken, written in self._rows(f"{sql} ORDER BY max(created_at), session_id"):
            yield Transcript(
                "openclaw", agent, self._path, int(taken or 0), int(written or 0), str(session),
                keys.get(session, ""), "rows", group=group,
            )  # fmt: skip
        for table, condition in _FILES.items():
            if {"session_id", "archive_blob"} <= self._columns(table):
                yield from self._files(table, condition, agent, group, keys)

    def records(self, transcript: Transcript) -> Iterator[Record]:
        """Yield the records of a session in it."""
        if transcript.form == "file":
            yield from self._lines(transcript)
            return
        packed = "event_zstd" if "event_zstd" in self._columns("transcript_events") else "NULL"
        sql = (
            f"SELECT seq, iif(octet_length(event_json) <= {MAX_RECORD}, event_json, NULL), {packed}, "
            f"coalesce(octet_length(event_json), octet_length({packed}), 0) "
            "FROM transcript_events WHERE session_id = ? AND seq > ? ORDER BY seq LIMIT ?"
        )
        last, taken = -(2**63), 0
        while True:
            read = 0
            for seq, text, blob, size in self._rows(sql, (transcript.session, last, BATCH)):
                read, last, taken = read + 1, seq, taken + size
                data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else None
                if data is None and blob is not None:
                    try:
                        data = unpack(blob)
                    except PackingError:
                        data = b"damaged"
                yield Record(data, taken)
            if read < BATCH:
                return

    def _files(
        self, table: str, condition: str, agent: str, group: str, keys: dict[str, str]
    ) -> Iterator[Transcript | Passed]:
        key = "session_key" if "session_key" in self._columns(table) else "NULL"
        sql = f"SELECT rowid, session_id, {key}, octet_length(archive_blob) FROM {table} WHERE {condition}"
        for rowid, session, own_key, size in self._rows(f"{sql} ORDER BY rowid"):
            if size > MAX_FILE:
                yield Passed(self._path, f"session {session}: a file of {size} bytes in the database", True)
                continue
            named = own_key if isinstance(own_key, str) else keys.get(session, "")
            yield Transcript(
                "openclaw", agent, self._path, size, 0, str(session), named, "file",
                part=f"{table} {rowid}", group=group,
            )  # fmt: skip

    def _lines(self, transcript: Transcript) -> Iterator[Record]:
        table, _, rowid = transcript.part.partition(" ")
        sql = f"SELECT archive_blob FROM {table} WHERE rowid = ?"
        for (blob,) in list(self._rows(sql, (int(rowid),))):
            data = blob if isinstance(blob, bytes) else str(blob).encode()
            if data.startswith(b"\x28\xb5\x2f\xfd"):
                yield from unpacked_lines(data)
            else:
                yield from lines_of(io.BytesIO(data))

    def _keys(self) -> dict[str, str]:
        for table, column in _KEYS:
            if {column, "session_key"} <= self._columns(table):
                rows = self._rows(f"SELECT {column}, session_key FROM {table}")
                return {session: key for session, key in rows if isinstance(key, str)}
        return {}

    def _columns(self, table: str) -> set[str]:
        return {name for (name,) in self._rows("SELECT name FROM pragma_table_info(?)", (table,))}

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        if self._unchanging and _has_log(self._path):  # the gateway has been started
            self._db.close()
            self._unchanging = False
            self._db = self._opened()
        try:
            yield from self._db.execute(sql, values)
        except (apsw.Error, UnicodeDecodeError) as error:
            raise Unreadable(f"the database cannot be read: {error}") from error

    def _opened(self) -> apsw.Connection:
        address = f"file:{quote(str(self._path))}?mode=ro{'&immutable=1' if self._unchanging else ''}"
        try:
            db = apsw.Connection(address, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
            db.set_busy_timeout(BUSY)
            for pragma in ("query_only = 1", "temp_store = 2", "trusted_schema = 0", "mmap_size = 0"):
                db.execute(f"PRAGMA {pragma}").fetchall()
        except apsw.Error as error:
            raise Unreadable(f"the database cannot be opened: {error}") from error
        return db


def _has_log(path: Path) -> bool:
    try:
        return Path(f"{path}-wal").stat().st_size > 0
    except OSError:
        return False
