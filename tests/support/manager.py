"""The end of sd_notify that systemd holds: a datagram socket that notes what it is told."""

import socket
from pathlib import Path
from typing import Self

from .waiting import wait_until

LARGEST = 4096  # bytes of one message
TIMEOUT = 30.0  # seconds until a message must have come; a bound against hanging


class ServiceManager:
    """Listens where `NOTIFY_SOCKET` says.

    Args:
        address: A path, or `@…` for an abstract socket.

    Attributes:
        messages: All that it was told, in order, as far as somebody looked.
    """

    def __init__(self, address: Path | str) -> None:
        self.address = str(address)
        self.messages: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self.address.replace("@", "\0", 1))

    def environ(self, watchdog: float | None = None) -> dict[str, str]:
        """Return the variables of a service; `watchdog` as in `WatchdogSec=`, in seconds."""
        limit = {} if watchdog is None else {"WATCHDOG_USEC": str(round(watchdog * 1e6))}
        return {"NOTIFY_SOCKET": self.address, **limit}

    def look(self) -> list[str]:
        """Return all messages so far."""
        while True:
            try:
                self.messages.append(self._socket.recv(LARGEST).decode())
            except BlockingIOError:
                return self.messages

    def wait_for(self, beginning: str, count: int = 1) -> list[str]:
        """Wait for `count` more messages that begin so; return all that came meanwhile, with these."""
        known = len(self.look())

        def came() -> list[str] | None:
            new = self.look()[known:]
            return new if sum(text.startswith(beginning) for text in new) >= count else None

        found: list[str] = wait_until(came, TIMEOUT, what=lambda: f"{count} × {beginning}: {self.messages}")
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
