"""The embedded server dies under load: it comes back, nothing is lost, and no second one ever runs."""

import os
import random
import signal

import pytest

from support.daemon import DaemonFactory
from support.load import Load
from support.oracle import check
from support.processes import alive
from support.rounds import EMBEDDED_KILLS
from support.waiting import wait_until

pytestmark = pytest.mark.faults


def test_the_embedded_server_is_killed_in_a_loop(daemon_factory: DaemonFactory) -> None:
    """kill -9, then the daemon itself: the server goes with it, and the next daemon finds the streams."""
    daemon = daemon_factory()
    with Load(daemon.socket) as load:
        for _ in range(EMBEDDED_KILLS):
            load.wait_acked(random.randint(50, 400))
            ready = daemon.wait_for(
                lambda status: status["routes"][0]["connected"], what="it is connected to its server"
            )
            os.kill(ready["embedded"]["pid"], signal.SIGKILL)
            load.wait_acked(100)  # agents do not notice
        server = daemon.wait_for(lambda status: status["embedded"]["pid"], what="the server runs")
        daemon.kill()
        wait_until(lambda: not alive(server["embedded"]["pid"]), what="the server has gone with its daemon")
        daemon.start()
        load.wait_acked(100)
        acked = load.finish()
    daemon.wait_healed()
    check(acked, daemon.embedded_streams().read())
