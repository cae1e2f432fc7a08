"""A stored message as a line of a file: everything that JetStream knows about it, its bytes as they are.

    {"stream":"openclaw-events","seq":7,"time":1758000000123,"subject":"openclaw.events.main.msg_in",
     "headers":{"Nats-Msg-Id":"main:e-1"},"agent":"main","body":{"id":"e-1", …}}

A body that is one line of JSON stands there as it was stored; any other one stands in `data`, as base64.
"""

from typing import Self

import msgspec

DEEP = 100  # brackets from which on it is looked whether a body is too deep to be read within a line
SPARE = b"[" * 32  # levels more than a body has that its line must be readable with

_MESSAGE_ID = "Nats-Msg-Id"
_TTL = "Nats-TTL"
_encode = msgspec.json.Encoder().encode
_raw = msgspec.json.Decoder(msgspec.Raw).decode


class Record(msgspec.Struct, omit_defaults=True, gc=False):
    """A stored message.

    Attributes:
        seq: Its sequence in the stream.
        time: When the stream took it, Unix milliseconds.
        agent: Whose it is, as the daemon has it that read the stream: who may write there and on that subject
            decides it. "" for nobody's; None where that was not asked.
        body: What was stored, where that is one line of JSON; else empty.
        data: What was stored, where it is anything else; else None.
    """

    stream: str
    seq: int
    time: int
    subject: str
    headers: dict[str, str] = {}
    agent: str | None = None
    body: msgspec.Raw = msgspec.Raw()
    data: bytes | None = None

    @classmethod
    def of(
        cls,
        stream: str,
        seq: int,
        time: int,
        subject: str,
        headers: dict[str, str],
        stored: bytes,
        agent: str | None = None,
    ) -> Self:
        """Return the record of a message.

        Args:
            stored: Its bytes.
        """
        if is_line(stored):
            return cls(stream, seq, time, subject, headers, agent, msgspec.Raw(stored))
        return cls(stream, seq, time, subject, headers, agent, data=stored)

    @property
    def stored(self) -> bytes:
        """What was stored, byte for byte."""
        return bytes(self.body) if self.data is None else self.data

    @property
    def message_id(self) -> str:
        """The id under which its writer had it stored once; "" without one."""
        return self.headers.get(_MESSAGE_ID, "")

    @property
    def never_expires(self) -> bool:
        """Whether it outlives the age limit of its stream."""
        return self.headers.get(_TTL, "") == "never"

    def line(self) -> bytes:
        """Return the line, with its end."""
        return _encode(self) + b"\n"


_records = msgspec.json.Decoder(Record)


def read_record(line: bytes) -> Record:
    """Return the record of a line.

    Raises:
        ValueError: It is none; the message says why.
    """
    try:
        record = _records.decode(line)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if bool(record.body) == (record.data is not None):
        raise ValueError("a record has either `body` or `data`")
    return record


def is_line(stored: bytes) -> bool:
    """Whether stored bytes are one line of JSON, with nothing around it."""
    if b"\n" in stored or b"\r" in stored:
        return False
    try:
        if not stored.isascii():
            stored.decode()
        if stored.count(b"[") + stored.count(b"{") > DEEP:
            _raw(SPARE + stored + b"]" * len(SPARE))
        return len(_raw(stored)) == len(stored)
    except (ValueError, RecursionError):
        return False
