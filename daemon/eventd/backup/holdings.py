"""What the streams of a server hold, by id and bytes: what a backup is compared with."""

import enum
from hashlib import blake2b

from ..jetstream.reading import Message, open_reader
from ..jetstream.session import ApiError, Session
from ..jetstream.streams import STREAM_NOT_FOUND, stream_info
from ..transfer.record import Record

DIGEST = 16  # bytes; a million messages take about 200 MB in memory


class Held(enum.Enum):
    """Whether a message of a backup is there."""

    NO = "no"
    YES = "yes"
    OTHERWISE = "otherwise"
    """Its id is there, with other bytes."""


class Holdings:
    """Messages of any number of streams; known by `Nats-Msg-Id`, else by stream, sequence and bytes."""

    def __init__(self) -> None:
        self._by_id: dict[bytes, bytes] = {}
        self._without: set[bytes] = set()
        self._read: dict[tuple[str, str], int] = {}

    async def look(self, session: Session, account: str, stream: str) -> None:
        """Take in what a stream has got since it was looked at last; nothing where there is none."""
        try:
            created = (await stream_info(session, stream))["created"]
        except ApiError as error:
            if error.err_code == STREAM_NOT_FOUND:
                return
            raise
        place = (account, f"{stream} {created}")
        async with open_reader(session, stream, start_seq=self._read.get(place, 0) + 1) as reader:
            while page := await reader.page():
                for message in page:
                    self._add(account, stream, message)
                self._read[place] = page[-1].seq

    def _add(self, account: str, stream: str, message: Message) -> None:
        if message.msg_id:
            self._by_id[_digest(message.msg_id.encode())] = _digest(message.body)
        else:
            self._without.add(_key(account, stream, message.seq, message.body))

    def find(self, record: Record, account: str, stream: str, put_as: str = "") -> Held:
        """Return whether a message of a backup is there.

        Args:
            account, stream: Where it would be.
            put_as: The `Nats-Msg-Id` that it gets when it is put, where its own is none of ours.
        """
        stored = record.stored
        if not record.message_id and _key(account, stream, record.seq, stored) in self._without:
            return Held.YES
        names = {record.message_id, put_as} - {""}
        found = [self._by_id[key] for key in map(_digest, map(str.encode, names)) if key in self._by_id]
        if not found:
            return Held.NO
        return Held.YES if _digest(stored) in found else Held.OTHERWISE


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=DIGEST).digest()


def _key(account: str, stream: str, seq: int, body: bytes) -> bytes:
    return blake2b(body, digest_size=DIGEST, key=_digest(f"{account} {stream} {seq}".encode())).digest()
