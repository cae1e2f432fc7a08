"""nats-py's client, with a shorter way for what is done most: publishing with headers."""

from typing import Any

import nats.aio.client


class Client(nats.aio.client.Client):
    """Writes what nats-py would write, at a quarter of the cost, which was half of shipping an event.

    `_send_publish` is an inner step of nats-py. Should a later version no longer call it, events are merely
    shipped at the old speed.
    """

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
