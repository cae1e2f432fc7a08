"""A real daemon tells a real datagram socket how it is, and is not said to live when its outbox is stuck."""

from pathlib import Path

import pytest

from support.daemon import Daemon
from support.manager import ServiceManager
from support.waiting import wait_until

NO_SERVER = "nats://127.0.0.1:9"  # the discard port: nobody listens
WATCHDOG = 0.2  # seconds

# The thread waits in the middle of whatever it does next while there is a file "stuck"; and what goes by
# timers goes quickly.
STICKS = """
import time
from pathlib import Path
from eventd.outbox import writer
from eventd.service import notify, starting, watchdog
run, stuck = writer._run, Path({folder!r}) / "stuck"
def sticking(store, call):
    while stuck.exists():
        time.sleep(0.01)
    return run(store, call)
writer._run = sticking
notify.STATUS_INTERVAL = starting.STEP = 0.05
watchdog.INTERVAL, watchdog.PATIENCE = 0.1, 0.5
"""

SLOW_TO_OPEN = """
open_or_salvage = writer.Writer._open
def opening(self):
    while stuck.exists():
        time.sleep(0.01)
    return open_or_salvage(self)
writer.Writer._open = opening
"""


def daemon_in(folder: Path, environ: dict[str, str], *, also: str = "") -> Daemon:
    """A daemon whose outbox gets stuck while there is a file `stuck`; it answers all the same."""
    mutation = STICKS.format(folder=str(folder)) + also
    return Daemon(folder / "d", {"url": NO_SERVER}, mutation=mutation, environ=environ)


def test_the_life_of_a_daemon_is_told(short_tmp: Path) -> None:
    """Ready when it takes events, then how it is, fed by each answer of the outbox, and that it ends."""
    with ServiceManager(short_tmp / "n") as manager:
        with daemon_in(short_tmp, manager.environ(WATCHDOG)) as daemon:
            manager.wait_for("WATCHDOG=1", 3)
            manager.wait_for("STATUS=", 2)
            assert daemon.stop() == 0, daemon.complaint()
        told = manager.close()
    assert told.index("READY=1") < told.index("STOPPING=1")
    status = [text for text in told[told.index("READY=1") :] if text.startswith("STATUS=")]
    assert status[0].startswith("STATUS=ok")
    assert status[0].endswith(": 0 accepted, 0 shipped")


def test_ready_means_that_the_socket_takes_connections(short_tmp: Path) -> None:
    """Whoever is started after the daemon finds it."""
    with ServiceManager(short_tmp / "n") as manager:
        daemon = daemon_in(short_tmp, manager.environ()).launch()
        manager.wait_for("READY=1")
        with daemon:
            assert daemon.status()["pid"] == daemon.pid


def test_a_stuck_outbox_is_not_fed_for(short_tmp: Path) -> None:
    """That the event loop runs is not enough; when the outbox answers again, feeding goes on."""
    with (
        ServiceManager(short_tmp / "n") as manager,
        daemon_in(short_tmp, manager.environ(WATCHDOG)) as daemon,
    ):
        manager.wait_for("WATCHDOG=1")
        (short_tmp / "stuck").touch()
        wait_until(lambda: "outbox_silent" in daemon.log_text, what="it was noticed")
        meanwhile = manager.wait_for("STATUS=", 20)  # from the loop, for much longer than the watchdog waits
        assert "WATCHDOG=1" not in meanwhile
        assert daemon.running
        (short_tmp / "stuck").unlink()
        manager.wait_for("WATCHDOG=1")


@pytest.mark.parametrize("with_manager", [False, True])
def test_where_nobody_watches_the_daemon_ends_itself(short_tmp: Path, with_manager: bool) -> None:
    """It says why; and a stuck thread does not keep it from ending."""
    with ServiceManager(short_tmp / "n") as manager:
        with daemon_in(short_tmp, manager.environ() if with_manager else {}) as daemon:
            (short_tmp / "stuck").touch()
            assert daemon.wait_end() == 1
        assert '"action":"outbox_stuck"' in daemon.log_text.replace(" ", "")
    (short_tmp / "stuck").unlink()
    with daemon:
        pass


def test_a_long_start_asks_for_time(short_tmp: Path) -> None:
    """While the outbox is opened (salvaged, say), and not any more when it is open."""
    (short_tmp / "stuck").touch()
    with ServiceManager(short_tmp / "n") as manager:
        daemon = daemon_in(short_tmp, manager.environ(), also=SLOW_TO_OPEN).launch()
        manager.wait_for("EXTEND_TIMEOUT_USEC=60000000", 3)
        assert "READY=1" not in manager.messages
        (short_tmp / "stuck").unlink()
        manager.wait_for("READY=1")
        later = manager.wait_for("STATUS=", 5)
        assert not [text for text in later if text.startswith("EXTEND")]
        assert daemon.stop() == 0, daemon.complaint()
