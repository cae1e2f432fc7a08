"""The unit files: systemd finds nothing wrong with them, and they say what the code says."""

import configparser
import os
import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eventd.config.settings import SHUTDOWN_TIMEOUT
from eventd_ipc.paths import FOLDER, SOCKET_NAME, SYSTEM_FOLDER
from support.daemon import Daemon

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "systemd"
FOLDERS = {"system": SYSTEMD, "user": SYSTEMD / "user"}
PLIST = ROOT / "launchd" / "dev.openclaw.eventd.plist"
FORMS = ("user", "system")
SUGGESTED = re.compile(r"^#(?=[A-Z]\w+=)", re.MULTILINE)  # what makes a comment of a setting
EXPOSURE = 1.5  # of 10, as `systemd-analyze security` counts; most of it is the network, for NATS
NO_SERVER = "nats://127.0.0.1:9"  # the discard port: nobody listens

# prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN), which is how newer systemd does MemoryDenyWriteExecute=.
NO_NEW_CODE = "import ctypes; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0"

with_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def read(form: str, kind: str) -> configparser.ConfigParser:
    """A unit's settings; of several with one name the last."""
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=["="])
    unit.optionxform = str  # type: ignore[assignment,method-assign] # names as they are written
    unit.read(FOLDERS[form] / f"eventd.{kind}")
    return unit


def analyze(folder: Path, *arguments: str | Path) -> None:
    """Run systemd-analyze, which must have nothing to say against it."""
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr  # a setting that it does not understand is only a warning


@with_systemd
@pytest.mark.parametrize("suggested", [False, True], ids=["as it is", "with what it suggests"])
@pytest.mark.parametrize("form", FORMS)
def test_systemd_finds_nothing_wrong(short_tmp: Path, form: str, suggested: bool) -> None:
    """With a program that is there, since eventd may be installed anywhere or nowhere."""
    units = shutil.copytree(FOLDERS[form], short_tmp / form)
    service = units / "eventd.service"
    program = read(form, "service")["Service"]["ExecStart"].partition(" ")[0]
    text = service.read_text().replace(program, sys.executable)
    service.write_text(SUGGESTED.sub("", text) if suggested else text)
    analyze(short_tmp, f"--{form}", "verify", "--man=no", service, units / "eventd.socket")


@with_systemd
def test_the_system_service_is_confined() -> None:
    """Whoever takes over the daemon gets little of the machine."""
    analyze(
        ROOT, "security", "--offline=yes", f"--threshold={EXPOSURE * 10:.0f}",
        SYSTEMD / "eventd.service",
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="a matter of Linux")
def test_the_daemon_needs_no_memory_that_it_can_write_and_run(short_tmp: Path) -> None:
    """`MemoryDenyWriteExecute=` breaks programs that make code as they run; none of our libraries does."""
    probe = subprocess.run([sys.executable, "-c", NO_NEW_CODE], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("this kernel cannot forbid it (Linux 6.3 can)")
    with Daemon(short_tmp / "d", {"url": NO_SERVER}, mutation=NO_NEW_CODE) as daemon:
        assert daemon.stop() == 0, daemon.complaint()
    assert "Traceback" not in daemon.log_text


@pytest.mark.parametrize(
    ("form", "path"),
    [("user", f"%t/{FOLDER}/{SOCKET_NAME}"), ("system", str(SYSTEM_FOLDER / SOCKET_NAME))],
)
def test_clients_find_the_socket_of_the_unit(form: str, path: str) -> None:
    """It is one of the places where they look without being told."""
    assert read(form, "socket")["Socket"]["ListenStream"] == path


@pytest.mark.parametrize("form", FORMS)
def test_the_service_has_time_to_end(form: str) -> None:
    """systemd kills only after the daemon's own budget for shipping the last events."""
    service = read(form, "service")["Service"]
    assert service["Type"] == "notify"
    assert int(service["TimeoutStopSec"]) > 2 * SHUTDOWN_TIMEOUT


def test_launchd_can_read_the_plist() -> None:
    """It runs the daemon, starts it anew whenever it ends, and gives it time to end."""
    job = plistlib.loads(PLIST.read_bytes())
    assert job["Label"] == PLIST.stem
    assert job["ProgramArguments"][:2] == ["/bin/sh", "-c"]
    assert " run " in job["ProgramArguments"][2]
    assert job["ProgramArguments"][2].startswith("exec ")  # or launchd would signal the shell
    assert job["RunAtLoad"] is True
    assert job["KeepAlive"] is True
    assert job["Umask"] == 0o077
    assert job["ExitTimeOut"] == 30
