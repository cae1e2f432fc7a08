"""Frames and messages, without any I/O: feed bytes, pull frames, decode them.

A frame is a 4-byte big-endian length and one msgpack map. Whatever bytes arrive, a frame comes out or
`ProtocolError` is raised; `RequestInvalid` is for a frame that is sound and a request that is not.
"""

import enum
import struct
from typing import Final, Literal, get_args

import msgspec

from .errors import BadFrame, FrameTooLarge, RequestInvalid
from .forms import read_form, skip
from .messages import MAX_EVENTS, Emit, Envelope, Hello, Reply, Request

HEADER: Final = 4  # bytes of the length
DEFAULT_MAX_FRAME: Final = 8 * 1024 * 1024  # bytes; what NATS at its usual largest max_payload can take

_LENGTH = struct.Struct(">I")
_encode = msgspec.msgpack.Encoder().encode
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
_envelopes = msgspec.msgpack.Decoder(Envelope)
_HELLO = Hello.__struct_config__.tag
_EMIT = Emit.__struct_config__.tag
_SHOWN = 40  # characters of the peer's text that an error repeats
_UNREADABLE = (ValueError, RecursionError)  # msgspec's own errors and Unicode's are ValueErrors

REQUESTS: Final = frozenset(message.__struct_config__.tag for message in get_args(Request))
"""The `op` of every request."""


class NeedData(enum.Enum):
    """The type of `NEED_DATA`."""

    NEED_DATA = "NEED_DATA"

    def __repr__(self) -> str:
        return self.value


NEED_DATA: Final = NeedData.NEED_DATA
"""No whole frame is there yet: feed more bytes."""


def encode(message: Request | Reply) -> bytes:
    """Return the frame of a message.

    Raises:
        OverflowError, UnicodeEncodeError: It holds an integer or a text that has no form there.
    """
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


class FrameDecoder:
    """Cuts a stream of bytes into frames.

    Whole frames are cut from the chunk in which they arrived, without a copy of the chunk. Only an
    incomplete frame is kept aside, so memory stays below `max_frame` plus one chunk, and the work is linear
    in the bytes however they are split.

    Args:
        max_frame: Largest body in bytes. A larger one is refused as soon as its length is there.
    """

    __slots__ = ("_chunk", "_end", "_failure", "_needed", "_offset", "_partial", "max_frame")

    def __init__(self, max_frame: int = DEFAULT_MAX_FRAME) -> None:
        self.max_frame = max_frame
        self._chunk = b""
        self._offset = 0
        self._end = 0
        self._partial = bytearray()
        self._needed = HEADER  # bytes that `_partial` must hold before it is worth another look
        self._failure: FrameTooLarge | None = None

    def __repr__(self) -> str:
        state = "failed" if self._failure else "ready"
        return f"<FrameDecoder {state}, {self.buffered} bytes buffered>"

    @property
    def buffered(self) -> int:
        """Bytes fed and not yet returned; more than 0 at the end of a connection means a torn frame."""
        return self._end - self._offset + len(self._partial)

    def feed(self, data: bytes) -> None:
        """Add bytes as they came from the peer. Pull all frames before feeding again."""
        if self._failure is not None:
            return  # what follows a refused frame means nothing
        if self._offset < self._end:
            self._partial += self._chunk[self._offset : self._end]
            self._offset = self._end
        if self._partial:
            self._partial += data
            if len(self._partial) < self._needed:
                return
            data = bytes(self._partial)
            self._partial.clear()
        self._chunk = data
        self._offset = 0
        self._end = len(data)

    def next_frame(self) -> bytes | Literal[NeedData.NEED_DATA]:
        """Return the body of the next frame, or `NEED_DATA`.

        Raises:
            FrameTooLarge: The announced length is above `max_frame`; from then on always.
        """
        start = self._offset + HEADER
        if start <= self._end:
            (length,) = _LENGTH.unpack_from(self._chunk, self._offset)
            stop = start + length
            if stop <= self._end and length <= self.max_frame:
                self._offset = stop
                return self._chunk[start:stop]
            return self._wait_for(length)
        if self._failure is not None:
            raise self._failure
        return self._wait_for(0)

    def _wait_for(self, length: int) -> Literal[NeedData.NEED_DATA]:
        """Keep the incomplete frame aside, unless it is larger than allowed."""
        rest = self._chunk[self._offset : self._end]
        self._chunk = b""
        self._offset = self._end = 0
        if length > self.max_frame:
            self._partial.clear()
            self._failure = FrameTooLarge(
                f"a frame of {length} bytes was announced; at most {self.max_frame} are allowed"
            )
            raise self._failure
        if rest:
            self._partial += rest
            self._needed = HEADER + length
        return NEED_DATA


def decode_request(frame: bytes) -> Request:
    """Return the request in the body of a frame.

    Raises:
        BadFrame: Not one msgpack map with `op` and `id`: nothing that could be answered.
        RequestInvalid: The request cannot be carried out, but can be answered.
    """
    try:
        return _requests.decode(frame)
    except RecursionError as error:
        return _decode_deep(frame, error)
    except ValueError as error:
        raise _why_not(frame, error) from error


def decode_reply(frame: bytes) -> Reply:
    """Return the reply in the body of a frame.

    Raises:
        BadFrame: No reply that this client knows. A server sends nothing that was not asked for.
    """
    try:
        return _replies.decode(frame)
    except _UNREADABLE as error:
        raise BadFrame(f"the reply cannot be understood: {error}") from error


def _decode_deep(frame: bytes, error: RecursionError) -> Emit:
    """Return an emit that the decoder cannot look through, so that the event that is too deep can be named.

    Raises:
        BadFrame: As for `decode_request`.
        RequestInvalid: It is another request, or it is wrong beside that.
    """
    try:
        fields = _fields(frame)
        envelope = _envelope_of(fields)
        if envelope.op != _EMIT or envelope.id is None or "events" not in fields:
            raise _why_not(frame, error) from error
        return Emit(envelope.id, _items(fields["events"], envelope.id))
    except _UNREADABLE as broken:  # a deep `id`, too
        raise BadFrame(f"the frame is not a message: {broken}") from broken


def _fields(frame: bytes) -> dict[str, bytes]:
    """Return the values of a map by their keys, without looking into them."""
    kind, size, at = read_form(frame, 0)
    if kind != "map":
        raise ValueError("it is no map")
    fields: dict[str, bytes] = {}
    for _ in range(size):
        kind, length, text = read_form(frame, at)
        value = skip(frame, at)
        at = skip(frame, value)
        if kind == "str":
            fields[frame[text : text + length].decode()] = frame[value:at]
    if at != len(frame):
        raise ValueError("trailing bytes")
    return fields


def _envelope_of(fields: dict[str, bytes]) -> Envelope:
    named = {name: msgspec.Raw(fields[name]) for name in ("op", "id") if name in fields}
    return _envelopes.decode(_encode(named))


def _items(array: bytes, request: int) -> list[msgspec.Raw]:
    """Return the items of the array of a request, without looking into them."""
    kind, size, at = read_form(array, 0)
    if kind != "array" or size > MAX_EVENTS:
        raise RequestInvalid("emit: `events` is no array, or too long", id=request, code="bad_request")
    items: list[msgspec.Raw] = []
    for _ in range(size):
        start, at = at, skip(array, at)
        items.append(msgspec.Raw(array[start:at]))
    return items


def _why_not(frame: bytes, error: Exception) -> BadFrame | RequestInvalid:
    """Tell a frame that is no message from a message that is no valid request."""
    try:
        try:
            envelope = _envelopes.decode(frame)
        except RecursionError:
            envelope = _envelope_of(_fields(frame))
    except _UNREADABLE as broken:
        return BadFrame(f"the frame is not a message: {broken}")
    if envelope.id is None and envelope.op != _HELLO:
        return BadFrame("a request without an integer `id` cannot be answered")
    if envelope.op not in REQUESTS:
        name = envelope.op[:_SHOWN]
        return RequestInvalid(f"there is no request {name!r}", id=envelope.id, code="unknown_op")
    return RequestInvalid(f"{envelope.op}: {error}", id=envelope.id, code="bad_request")
