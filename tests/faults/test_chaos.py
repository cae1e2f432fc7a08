"""Everything at once: random faults on all sides under load, and the same oracle."""

import random
import shutil
import time
from pathlib import Path

import pytest

from support.daemon import Daemon, DaemonFactory
from support.jetstream import STREAM, JetStream
from support.load import Load
from support.nats import NatsServer
from support.oracle import check
from support.proxy import Proxy
from support.rounds import CHAOS_ROUNDS, CHAOS_RUNS

pytestmark = pytest.mark.faults

SHORTLY = 0.3  # seconds that a fault lasts


class Chaos:
    """A broker, a proxy and a daemon, and what can happen to them. Every fault is over when it returns."""

    def __init__(self, server: NatsServer, proxy: Proxy, daemon: Daemon, folder: Path) -> None:
        self._server = server
        self._proxy = proxy
        self._daemon = daemon
        self._jetstream = JetStream(server.url)
        self._copy = folder / "copy"
        self.faults = [
            self.kill_daemon,
            self.stop_daemon,
            self.freeze_daemon,
            self.kill_broker,
            self.freeze_broker,
            self.cut,
            self.lose_replies,
            self.lose_everything,
            self.copy_store,
            self.roll_back,
            self.roll_back_both,
            self.write_something_else,
            self.delete_something_else,
        ]

    def kill_daemon(self) -> None:
        self._daemon.restart(kill=True)

    def stop_daemon(self) -> None:
        self._daemon.restart()

    def freeze_daemon(self) -> None:
        self._daemon.pause()
        time.sleep(SHORTLY)
        self._daemon.resume()

    def kill_broker(self) -> None:
        self._server.restart(kill=True)

    def freeze_broker(self) -> None:
        self._server.pause()
        time.sleep(SHORTLY)
        self._server.resume()

    def cut(self) -> None:
        self._proxy.cut(reset=True)

    def lose_replies(self) -> None:
        self._proxy.drop_replies()
        time.sleep(SHORTLY)
        self._proxy.cut()
        self._proxy.resume()

    def lose_everything(self) -> None:
        self._proxy.black_hole()
        time.sleep(SHORTLY)
        self._proxy.cut()
        self._proxy.resume()

    def copy_store(self) -> None:
        self._server.stop()
        shutil.rmtree(self._copy, ignore_errors=True)
        self._server.copy_store(self._copy)
        self._server.start()

    def roll_back(self) -> None:
        if self._copy.exists():
            self._server.kill()
            self._server.restore_store(self._copy)
            self._server.start()

    def roll_back_both(self) -> None:
        self._daemon.kill()
        self.roll_back()
        self._daemon.start()

    def write_something_else(self) -> None:
        self._jetstream.publish("openclaw.events.foreign.custom", count=random.randint(1, 300))

    def delete_something_else(self) -> None:
        self._jetstream.api(f"STREAM.PURGE.{STREAM}", {"filter": "openclaw.events.foreign.>"})


@pytest.mark.parametrize("window", ["2m", "1s"], ids=["long window", "short window"])
@pytest.mark.parametrize("run", range(CHAOS_RUNS))
def test_whatever_happens_each_event_is_stored_once_in_order(
    nats_server: NatsServer,
    proxy: Proxy,
    daemon_factory: DaemonFactory,
    jetstream: JetStream,
    short_tmp: Path,
    run: int,
    window: str,
) -> None:
    dice = random.Random(run)
    daemon = daemon_factory(proxy.url, stream={"duplicateWindow": window})
    chaos = Chaos(nats_server, proxy, daemon, short_tmp)
    happened = []
    with Load(daemon.socket, ["ann", "bob", "cat"]) as load:
        load.wait_acked(50)
        daemon.wait_for(lambda status: status["routes"][0]["shipped"], what="the stream is there")
        for _ in range(CHAOS_ROUNDS):
            fault = dice.choice(chaos.faults)
            happened.append(fault.__name__)
            fault()
            load.wait_acked(dice.randint(0, 300))
        acked = load.finish()
    daemon.wait_shipped()
    print(*happened, sep="\n")  # shown where the oracle complains
    check(acked, [message for message in jetstream.read() if message.agent != "foreign"])
