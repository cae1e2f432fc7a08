"""SIGHUP: load the configuration anew. From a terminal that was closed it means what it always has: end."""

import logging
import os
import signal

import anyio
from anyio.abc import TaskStatus

from ..service.notify import Notifier
from .reloader import Reloader

logger = logging.getLogger(__name__)

TERMINAL = "/dev/tty"  # the controlling terminal of a process, whatever it is called


def expect_hangup() -> bool:
    """Let SIGHUP do nothing until `reload_on_hangup` runs, rather than end the process.

    Returns:
        Whether it may end with its terminal: there is one, and `nohup` has not said otherwise.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return before != signal.SIG_IGN and _has_terminal()


async def reload_on_hangup(
    reloader: Reloader,
    notifier: Notifier,
    *,
    ends_with_terminal: bool,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Reload at each SIGHUP, until cancelled; tell the service manager when it begins and when it is done.

    Args:
        ends_with_terminal: From `expect_hangup`.
        task_status: Told when signals are received.
    """
    with anyio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            if ends_with_terminal and not _has_terminal():
                logger.info("the terminal was closed", extra={"action": "terminal_closed"})
                os.kill(os.getpid(), signal.SIGTERM)
                return
            notifier.reloading()
            try:
                await reloader.reload("SIGHUP", asked=True)
            finally:
                notifier.ready()


def _has_terminal() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
