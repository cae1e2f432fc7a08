"""The end of sd_notify that systemd holds: a datagram socket that notes what it is told."""

import socket
import threading
from pathlib import Path
from typing import Self

from .waiting import wait_until

LARGEST = 4096  # bytes of one message
INTERVAL = 0.02  # seconds without a message until it is asked whether the end has come
TIMEOUT = 30.0  # seconds until a message must have come; a bound against hanging


class ServiceManager:
    """Listens where `NOTIFY_SOCKET` says.

    Args:
        address: A path, or `@…` for an abstract socket.

    It reads at once, as systemd does: Linux lets 10 datagrams wait, and a daemon that starts sends more.

    Attributes:
        messages: All that it was told, in order.
    """

    def __init__(self, address: Path | str) -> None:
        self.address = str(address)
        self.messages: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(INTERVAL)
        self._socket.bind(self.address.replace("@", "\0", 1))
        self._ending = False
        self._thread = threading.Thread(target=self._read, name="service manager", daemon=True)

    def environ(self, watchdog: float | None = None) -> dict[str, str]:
        """Return the variables of a service; `watchdog` as in `WatchdogSec=`, in seconds."""
        limit = {} if watchdog is None else {"WATCHDOG_USEC": str(round(watchdog * 1e6))}
        return {"NOTIFY_SOCKET": self.address, **limit}

    def wait_for(self, beginning: str, count: int = 1) -> list[str]:
        """Wait for `count` more messages that begin so; return all that came meanwhile, with these."""
        known = len(self.messages)

        def came() -> list[str] | None:
            new = self.messages[known:]
            return new if sum(text.startswith(beginning) for text in new) >= count else None

        found: list[str] = wait_until(came, TIMEOUT, what=lambda: f"{count} × {beginning}: {self.messages}")
        return found

    def close(self) -> list[str]:
        """Read what still waits, and return all messages."""
        self._ending = True
        self._thread.join()
        self._socket.close()
        return self.messages

    def _read(self) -> None:
        while True:
            try:
                self.messages.append(self._socket.recv(LARGEST).decode())
            except TimeoutError:
                if self._ending:
                    return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
