"""What the daemon tells systemd: sd_notify(3), as far as it is needed, without a library."""

import logging
import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Self

import anyio

logger = logging.getLogger(__name__)

SOCKET_VARIABLE = "NOTIFY_SOCKET"
WATCHDOG_VARIABLE = "WATCHDOG_USEC"
WATCHDOG_PID_VARIABLE = "WATCHDOG_PID"
MICROSECONDS = 1_000_000  # in a second
SEND_TIMEOUT = 0.1  # seconds for which a full queue of the manager's may hold up the event loop
STATUS_INTERVAL = 5.0  # seconds between two status lines
MAX_STATUS = 1000  # characters of a status line; `systemctl status` shows it on one line


class Notifier:
    """Sends datagrams to the service manager, or to nobody where there is none.

    Nothing in here ever fails the daemon: events matter more than being supervised. A message that could not
    be sent is lost; that is logged once.

    Args:
        address: Of the manager's socket, `@…` for an abstract one; None tells nobody.
        watchdog: Seconds after which the manager ends a daemon that does not call `alive`; None: it does not.
    """

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = address
        self._has_complained = False

    @classmethod
    def take(cls, environ: MutableMapping[str, str] = os.environ) -> Self:
        """Read what the manager wants to know, and where.

        The variables are removed: the programs that the daemon starts must not speak in its name.
        """
        address = environ.pop(SOCKET_VARIABLE, None)
        interval = environ.pop(WATCHDOG_VARIABLE, "")
        process = environ.pop(WATCHDOG_PID_VARIABLE, "")
        if not address:
            return cls()
        if address[0] not in "/@":
            logger.warning(
                "%s names no Unix socket: %s", SOCKET_VARIABLE, address, extra={"action": "notify_failed"}
            )
            return cls()
        is_watched = interval.isdecimal() and int(interval) > 0 and process in ("", str(os.getpid()))
        return cls(address, int(interval) / MICROSECONDS if is_watched else None)

    def ready(self) -> None:
        """Say that the socket takes connections; after `reloading`, that it is over."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Say that the configuration is being read again. However that ends, `ready` has to follow.

        Whoever ran `systemctl reload` waits for that. The time tells systemd that this is an answer to its
        signal, and not to one from before.
        """
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Say that the daemon has begun to end."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog; only after something has shown that the daemon gets on."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say in one line how the daemon is."""
        self._send(f"STATUS={' '.join(text.split())[:MAX_STATUS]}")

    async def keep_status(self, line: Callable[[], str]) -> None:
        """Say how the daemon is, again and again until cancelled."""
        while self._address is not None:
            self.status(line())
            await anyio.sleep(STATUS_INTERVAL)

    def extend(self, seconds: float) -> None:
        """Ask for `seconds` more, from now, for what is going on: the start, or the end."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * MICROSECONDS)}")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SEND_TIMEOUT)
                sender.sendto(message.encode(errors="replace"), address)
        except OSError as error:
            if not self._has_complained:
                self._has_complained = True
                logger.warning(
                    "cannot tell the service manager how we are: %s", error.strerror or error,
                    extra={"action": "notify_failed"},
                )  # fmt: skip
