"""nats-py's client, with a shorter way to publish with headers, and able to read what others have written."""

import logging
from typing import Any

import nats.aio.client

from .headers import EXPECTED_STREAM, parse_headers

logger = logging.getLogger(__name__)

STATUS_AT = len(b"NATS/1.0")  # a space follows there where the server tells a status, such as 503


class Client(nats.aio.client.Client):
    """Writes what nats-py would write, at a quarter of the cost, which was half of shipping an event.

    `_send_publish` is an inner step of nats-py. Should a later version no longer call it, events are merely
    shipped at the old speed.

    `_process_msg` is one, too. nats-server takes any bytes in subjects and headers; one message that nats-py
    cannot decode would end its read loop, again at each attempt to read on.

    So is `_process_headers`: nats-py reads headers that nats-server does not (see `headers`).
    """

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        if not headers:
            return None
        if headers[STATUS_AT : STATUS_AT + 1] != b" ":
            return parse_headers(headers)
        answer: dict[str, str] = dict(await super()._process_headers(headers) or {})
        answer.pop(EXPECTED_STREAM, None)
        return answer

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        try:
            await super()._process_msg(sid, subject, reply, data, headers)
        except (UnicodeError, ValueError) as error:
            logger.warning("a message that is no UTF-8: %s", error, extra={"action": "nats_undecodable"})
            readable = subject.decode(errors="backslashreplace").encode()
            await super()._process_msg(sid, readable, reply, data, b"")

    async def _send_publish(
        self, subject: str, reply: str, payload: bytes, payload_size: int, headers: dict[str, Any] | None
    ) -> None:
        if not headers or not "".join(headers.values()).isprintable():  # nats-py replaces line ends in values
            await super()._send_publish(subject, reply, payload, payload_size, headers)
            return
        lines = "".join([f"{key}: {value}\r\n" for key, value in headers.items()])
        head = f"NATS/1.0\r\n{lines}\r\n".encode()
        sizes = f"{len(head)} {len(head) + payload_size}"
        command = f"HPUB {subject} {reply} {sizes}\r\n".encode() + head + payload + b"\r\n"
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += payload_size
        await self._send_command(command)
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()
