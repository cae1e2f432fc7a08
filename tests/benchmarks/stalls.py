"""G6: how soon status says that something stands still, and how soon that is over when its cause is gone."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventd_ipc.blocking import connect
from support.accounts import Accounts
from support.daemon import STALL_HEALED, STALL_SHOWN, Daemon
from support.disks import NoDisk, fill, small_disk
from support.load import Shape, emit, raw_event
from support.nats import NatsServer
from support.proxy import Proxy
from support.stalls import BROKEN_INFO, HUNG_OUTBOX, HUNG_READ_LOOP, Reader, mutated

from .report import Sheet
from .stage import Options, eventd, workspace

NOTE = (
    "seconds from the cause to `degraded` or `failing`, and from its end to `ok` with nothing waiting\n"
    f"(G6: {STALL_SHOWN:g} and {STALL_HEALED:g}). Stalls begin at any moment between two probes, "
    "and last 10 s more than\n"
    "they take to show, so that pauses between attempts are as long as they get. A read loop that dies\n"
    "is replaced before anything shows; a reader that takes nothing shows among the clients"
)

PHASE = 10.0  # seconds; longer than anything that eventd does at intervals
HOLD = 10.0  # seconds for which a stall lasts after it was seen
PATIENCE = 180.0  # seconds after which a measurement has failed
EVENTS = 50  # that wait while it lasts
VALID = 8.0  # seconds for which credentials are good; a daemon is connected with them long before
PLENTY = 1_000_000  # events that a reader asks for and does not take
LARGE = Shape(size=50_000)  # a few of these fill the buffers of a socket

WORST_SHOWN = "the slowest of them to show"
WORST_HEALED = "the slowest of them to heal"

Look = Callable[[dict[str, Any]], object]


def troubled(status: dict[str, Any]) -> bool:
    """Whether the daemon says that it is not well."""
    return bool(status["health"]["state"] != "ok")


def healed(status: dict[str, Any]) -> bool:
    """Whether it is well, and nothing waits."""
    return not troubled(status) and not status["outbox"]["rows"]


@dataclass
class Scene:
    """A daemon that is well, and how something in it begins to stand still, and ends to.

    Attributes:
        begin: Makes the stall; may return when it began (`time.monotonic()`) where that is not now.
        end: Takes its cause away.
        emits: Whether events are taken meanwhile.
        shown: When it shows in status; None where it never has to, being over at once.
        over: When it is over.
    """

    daemon: Daemon
    begin: Callable[[], float | None]
    end: Callable[[], object]
    emits: bool = True
    shown: Look | None = troubled
    over: Look = healed


def login(password: str) -> str:
    """Return the broker's configuration with one user."""
    return f'authorization {{ users: [ {{ user: agents, password: "{password}" }} ] }}'


@contextmanager
def black_hole(folder: Path) -> Iterator[Scene]:
    """The connection stays open and nothing comes through."""
    with _proxied(folder) as (proxy, daemon):
        yield Scene(daemon, proxy.black_hole, proxy.resume)


@contextmanager
def dead_read_loop(folder: Path) -> Iterator[Scene]:
    """Bytes that end nats-py's read loop, while it goes on saying "connected"."""
    with _proxied(folder) as (proxy, daemon):
        connects = daemon.route()["connects"]

        def begin() -> None:
            proxy.inject(BROKEN_INFO)

        yield Scene(
            daemon,
            begin,
            lambda: None,
            shown=None,
            over=lambda status: status["routes"][0]["connects"] > connects and healed(status),
        )


@contextmanager
def hung_read_loop(folder: Path) -> Iterator[Scene]:
    """Every read loop hangs at the first message that it gets."""
    with (
        NatsServer(folder / "nats") as server,
        eventd(folder, server.url, mutation=mutated(HUNG_READ_LOOP, folder)) as daemon,
    ):
        yield Scene(daemon, *_switch(folder))


@contextmanager
def hung_outbox(folder: Path) -> Iterator[Scene]:
    """A commit does not return."""
    with (
        NatsServer(folder / "nats") as server,
        eventd(folder, server.url, mutation=mutated(HUNG_OUTBOX, folder)) as daemon,
    ):
        start, stop = _switch(folder)
        with connect("main", socket=daemon.socket) as client:

            def begin() -> None:
                start()
                client.start_emit([raw_event("main", 1)])  # and do not wait for its ack

            yield Scene(daemon, begin, stop, emits=False)


@contextmanager
def wrong_password(folder: Path) -> Iterator[Scene]:
    """The broker's password is changed; later the file that we have it from."""
    secret = folder / "password"
    with NatsServer(folder / "nats", config=login("first")) as server:
        _write(secret, "first")
        with eventd(folder, server.url, user="agents", passwordFile=str(secret)) as daemon:
            yield Scene(daemon, lambda: server.reload(login("second")), lambda: _write(secret, "second"))


@contextmanager
def expired_credentials(folder: Path) -> Iterator[Scene]:
    """Credentials expire; later there are fresh ones."""
    accounts, creds = Accounts(), folder / "agents.creds"
    with NatsServer(folder / "nats", config=accounts.server_config) as server:
        accounts.write_creds(creds)
        with eventd(folder, server.url, credsFile=str(creds)) as daemon:

            def begin() -> float:
                connects = daemon.route()["connects"]
                accounts.write_creds(creds, valid=VALID)
                expires = time.monotonic() + VALID
                server.restart()  # the next connection is made with these
                daemon.wait_for(
                    lambda status: status["routes"][0]["connects"] > connects,
                    PATIENCE,
                    what="it is connected",
                )
                time.sleep(max(0.0, expires - time.monotonic()))
                return expires

            yield Scene(daemon, begin, lambda: accounts.write_creds(creds))


@contextmanager
def server_away(folder: Path) -> Iterator[Scene]:
    """The broker is killed; later it is started."""
    with NatsServer(folder / "nats") as server, eventd(folder, server.url) as daemon:
        yield Scene(daemon, server.kill, server.start)


@contextmanager
def frozen_embedded(folder: Path) -> Iterator[Scene]:
    """Our own nats-server is stopped (SIGSTOP)."""
    with eventd(folder, "embedded") as daemon:
        ready = daemon.wait_for(lambda status: status["embedded"]["state"] == "ready", PATIENCE, what="ready")
        pid = ready["embedded"]["pid"]
        try:
            yield Scene(daemon, lambda: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGCONT))
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def full_disk(folder: Path) -> Iterator[Scene]:
    """No room for the outbox."""
    with (
        small_disk(folder / "disk") as disk,
        NatsServer(folder / "nats") as server,
        eventd(disk, server.url, outbox={"minFree": "8MiB"}) as daemon,
    ):
        yield Scene(daemon, lambda: _fill(disk), lambda: _empty(disk), emits=False)


@contextmanager
def full_disk_of_embedded(folder: Path) -> Iterator[Scene]:
    """No room for the streams of our own nats-server, which stores nothing more until it is started anew."""
    with (
        small_disk(folder / "disk") as disk,
        eventd(folder, "embedded", embedded={"storeDir": str(disk / "embedded")}) as daemon,
    ):
        daemon.wait_for(lambda status: status["embedded"]["state"] == "ready", PATIENCE, what="ready")
        yield Scene(daemon, lambda: _fill(disk), lambda: _empty(disk))


@contextmanager
def stuck_reader(folder: Path) -> Iterator[Scene]:
    """A client asks for all events and reads none; later it goes."""
    with NatsServer(folder / "nats") as server, eventd(folder, server.url) as daemon:
        reader = Reader(daemon, PLENTY)

        def begin() -> None:
            emit(daemon.socket, "main", range(1001, 1101), LARGE)

        try:
            yield Scene(
                daemon,
                begin,
                reader.close,
                shown=lambda status: status["server"]["stuck"],
                over=lambda status: not status["server"]["stuck"] and healed(status),
            )
        finally:
            reader.close()


STALLS: dict[str, Callable[[Path], AbstractContextManager[Scene]]] = {
    "black hole": black_hole,
    "dead read loop": dead_read_loop,
    "hung read loop": hung_read_loop,
    "wrong password": wrong_password,
    "expired credentials": expired_credentials,
    "server away": server_away,
    "embedded server frozen": frozen_embedded,
    "embedded server's disk full": full_disk_of_embedded,
    "disk full": full_disk,
    "outbox hangs": hung_outbox,
    "stuck reader": stuck_reader,
}


def measure(sheet: Sheet, options: Options) -> None:
    """Let each of them happen once a round."""
    sheet.note = NOTE
    for _ in range(options.rounds):
        shows, heals = [], []
        for name, scene in STALLS.items():
            with workspace(options, "stalls") as folder:
                try:
                    with scene(folder) as place:
                        shown, over = _one(place)
                except NoDisk as error:
                    sheet.note = f"{NOTE}\n{name}: not measured, {error}"
                    continue
            if shown is not None:
                sheet.add(f"{name}: shows", shown, "s")
                shows.append(shown)
            sheet.add(f"{name}: heals", over, "s")
            heals.append(over)
        sheet.add(WORST_SHOWN, max(shows), "s")
        sheet.add(WORST_HEALED, max(heals), "s")


@contextmanager
def _proxied(folder: Path) -> Iterator[tuple[Proxy, Daemon]]:
    with (
        NatsServer(folder / "nats") as server,
        Proxy(server.port) as proxy,
        eventd(folder, proxy.url) as daemon,
    ):
        yield proxy, daemon


def _switch(folder: Path) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what makes a mutation hold, and what ends it."""
    file = folder / "stuck"
    return file.touch, file.unlink


def _fill(disk: Path) -> None:
    fill(disk)


def _empty(disk: Path) -> None:
    (disk / "filler").unlink()


def _write(secret: Path, text: str) -> None:
    secret.write_text(text)
    secret.chmod(0o600)


def _one(scene: Scene) -> tuple[float | None, float]:
    """Let it happen; return the seconds until it showed, and from its end until it was over."""
    daemon = scene.daemon
    daemon.wait_for(healed, PATIENCE, what="it is well before")
    time.sleep(random.uniform(0, PHASE))
    began = scene.begin() or time.monotonic()
    if scene.emits:
        emit(daemon.socket, "main", range(1, EVENTS + 1))
    shown = None
    if scene.shown is not None:
        daemon.wait_for(scene.shown, PATIENCE, what="it shows")
        shown = max(0.0, time.monotonic() - began)
        time.sleep(HOLD)
        scene.end()
        began = time.monotonic()
    daemon.wait_for(scene.over, PATIENCE, what="it is over")
    return shown, time.monotonic() - began
