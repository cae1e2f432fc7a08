"""What systemd is told, read from a real datagram socket."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from eventd.service.notify import MAX_STATUS, Notifier
from support.manager import ServiceManager


@pytest.fixture
def manager(short_tmp: Path) -> Iterator[ServiceManager]:
    """A manager that listens on a path."""
    with ServiceManager(short_tmp / "notify") as manager:
        yield manager


def test_each_message_is_one_datagram_in_the_words_of_sd_notify(manager: ServiceManager) -> None:
    """A name, `=`, a value; times are microseconds."""
    notifier = Notifier.take(manager.environ())
    notifier.extend(1.5)
    notifier.ready()
    notifier.alive()
    notifier.stopping()
    assert manager.close() == ["EXTEND_TIMEOUT_USEC=1500000", "READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_a_reload_is_told_with_its_time_and_its_end(manager: ServiceManager) -> None:
    """One datagram with both: systemd takes a `RELOADING=1` from before its signal for an older one."""
    notifier = Notifier.take(manager.environ())
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.ready()
    reloading, ready = manager.close()
    assert ready == "READY=1"
    state, _, moment = reloading.partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1"
    assert before <= int(moment) <= after


def test_a_status_is_one_bounded_line(manager: ServiceManager) -> None:
    """A line break in it would begin the next assignment: `READY=1`, say, out of an error's text."""
    notifier = Notifier.take(manager.environ())
    notifier.status("degraded:\nREADY=1\t ü")
    notifier.status("x" * 100_000)
    assert manager.close() == ["STATUS=degraded: READY=1 ü", "STATUS=" + "x" * MAX_STATUS]


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_abstract_sockets_are_spoken_to() -> None:
    """`@` stands for the NUL byte at the beginning."""
    with ServiceManager(f"@eventd-test-{os.getpid()}") as manager:
        Notifier.take(manager.environ()).ready()
        assert manager.close() == ["READY=1"]


def test_the_variables_are_taken_out(manager: ServiceManager) -> None:
    """A program that the daemon starts cannot speak in its name."""
    environ = {**manager.environ(30.0), "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    assert Notifier.take(environ).watchdog == 30.0
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_nobody_watches_where_the_variables_do_not_say_so(
    manager: ServiceManager, variables: dict[str, str]
) -> None:
    """Not set, not a time, or meant for another process."""
    assert Notifier.take(manager.environ() | variables).watchdog is None


@pytest.mark.parametrize(
    ("address", "complaints"), [(None, 0), ("", 0), ("/nobody/is/here", 1), ("vsock:2:1234", 1)]
)
def test_without_a_manager_nothing_happens(
    address: str | None, complaints: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The daemon goes on; that messages get lost is logged once."""
    notifier = Notifier.take({} if address is None else {"NOTIFY_SOCKET": address})
    notifier.ready()
    notifier.status("ok")
    assert [vars(record)["action"] for record in caplog.records] == ["notify_failed"] * complaints


def test_a_manager_that_does_not_read_holds_nobody_up(
    short_tmp: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its queue is full: the message is given up after a moment, and the daemon goes on."""
    path = str(short_tmp / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(path)
        with suppress(OSError):  # until the queue is full, and not only what one socket may send
            while True:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
                    filler.setblocking(False)
                    filler.sendto(b"x", path)
        Notifier.take({"NOTIFY_SOCKET": path}).ready()
    assert [vars(record)["action"] for record in caplog.records] == ["notify_failed"]
