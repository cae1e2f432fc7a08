"""`eventd service`, with a service manager that only notes what it is told."""

import stat
import sys
from pathlib import Path

import pytest

from cli.support import Ended, Eventd

TOOL = "launchctl" if sys.platform == "darwin" else "systemctl"

# Notes its words, and fails as long as there is a file "fails". Its version is what a file says.
FAKE = """#!/bin/sh
if [ "$1" = --version ]; then exec cat "{folder}/version"; fi
echo "$@" >> "{folder}/told"
test ! -e "{folder}/fails"
"""


class Machine:
    """A home and a service manager of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        tool = folder / "bin" / TOOL
        tool.parent.mkdir()
        tool.write_text(FAKE.format(folder=folder))
        tool.chmod(0o755)
        self.is_systemd("252 (252.38-1~deb12u1)")

    def is_systemd(self, version: str) -> None:
        """Let the manager be of that version."""
        (self.folder / "version").write_text(f"systemd {version}\n+PAM +AUDIT default-hierarchy=unified\n")

    def run(self, *words: str | Path, options: tuple[str | Path, ...] = ()) -> Ended:
        """Run `eventd service …`."""
        path = f"{self.folder / 'bin'}:/usr/bin:/bin"
        return Eventd(options)("service", *words, "--user", HOME=str(self.home), PATH=path)

    def told(self) -> list[str]:
        """Return what the manager was told since the last time."""
        path = self.folder / "told"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def files(self) -> dict[str, str]:
        """Return the name and the text of each file in the home."""
        return {path.name: path.read_text() for path in self.home.rglob("*") if path.is_file()}


@pytest.fixture
def machine(short_tmp: Path) -> Machine:
    """A machine without eventd."""
    return Machine(short_tmp)


def test_a_dry_run_shows_everything_and_does_nothing(machine: Machine) -> None:
    """Each file with its text, and each command."""
    shown = machine.run("install", "--dry-run")
    assert shown.code == 0
    assert any(line.startswith("write ") for line in shown.lines)
    assert any(line.startswith(f"run {TOOL} ") for line in shown.lines)
    assert f"{sys.executable} -m eventd" in shown.out.decode()
    assert not machine.files()
    assert not machine.told()


def test_install_writes_what_was_shown_and_starts_it(machine: Machine) -> None:
    """Readable for all, as systemd wants it; started after the files are there."""
    announced = [line[4:] for line in machine.run("install", "--dry-run").lines if line.startswith("run ")]
    done = machine.run("install")
    assert done.code == 0, done.err
    assert [f"{TOOL} {line}" for line in machine.told()] == announced
    assert machine.files()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in machine.home.rglob("*") if path.is_file()}
    assert modes == {0o644}


def test_a_second_install_changes_nothing(machine: Machine) -> None:
    """A daemon that runs is not restarted; only where it does not run it is started."""
    machine.run("install")
    before, first = machine.files(), machine.told()
    again = machine.run("install")
    assert again.code == 0, again.err
    assert machine.files() == before
    assert not [line for line in again.lines if line.startswith(("write", "replace"))]
    assert machine.told() != first
    assert "restart" not in again.out.decode()


def test_install_with_other_options_replaces_and_starts_anew(machine: Machine) -> None:
    """The global options are those of the service, wherever it is started from."""
    machine.run("install")
    first = machine.told()
    config, socket = machine.folder / "c.yml", machine.folder / "s"
    done = machine.run("install", options=("--config", config, "--socket", socket))
    assert done.code == 0, done.err
    assert [line for line in done.lines if line.startswith("replace ")]
    assert machine.told() == first
    text = "".join(machine.files().values())
    assert f"--config {config}" in text
    assert str(socket) in text


@pytest.mark.skipif(sys.platform == "darwin", reason="launchd knows no reload")
def test_the_type_of_the_service_is_what_systemd_knows(machine: Machine) -> None:
    """After systemd was upgraded, a second install makes use of it; and `status` says that it would."""
    machine.run("install")
    assert "\nType=notify\n" in machine.files()["eventd.service"]
    machine.is_systemd("257.7")
    assert machine.run("status").code == 1
    machine.run("install")
    assert "\nType=notify-reload\n" in machine.files()["eventd.service"]
    assert machine.run("status").code == 0


def test_uninstall_stops_it_and_leaves_nothing_but_the_data(machine: Machine) -> None:
    """The second time there is nothing to do."""
    machine.run("install")
    machine.told()
    (machine.home / "outbox.db").write_text("precious")
    done = machine.run("uninstall")
    assert done.code == 0, done.err
    assert machine.files() == {"outbox.db": "precious"}
    assert machine.told()
    again = machine.run("uninstall")
    assert (again.code, again.err) == (0, "nothing is installed\n")
    assert not machine.told()


def test_status_is_the_exit_code(machine: Machine) -> None:
    """Good only where all files are as they have to be, and it runs."""
    assert machine.run("status").code == 1
    machine.run("install")
    good = machine.run("status")
    assert good.code == 0
    assert {line.split()[0] for line in good.lines} == {"current"}
    (machine.folder / "fails").touch()
    assert machine.run("status").code == 1
    (machine.folder / "fails").unlink()
    file = next(path for path in machine.home.rglob("*") if path.is_file())
    file.write_text("")
    changed = machine.run("status")
    assert changed.code == 1
    assert f"other    {file}" in changed.lines


def test_what_the_manager_refuses_is_told_and_can_be_done_again(machine: Machine) -> None:
    """The command that failed is named; its own words are above."""
    (machine.folder / "fails").touch()
    failed = machine.run("install")
    assert failed.code == 1
    assert f"error: `{TOOL} " in failed.err
    (machine.folder / "fails").unlink()
    machine.told()
    assert machine.run("install").code == 0
    assert len(machine.told()) > 1 or sys.platform == "darwin"  # read the files anew, and start it


def test_without_a_service_manager_it_is_said(machine: Machine) -> None:
    """A container, say: no traceback."""
    (machine.folder / "bin" / TOOL).unlink()
    ended = Eventd()("service", "install", "--user", HOME=str(machine.home), PATH=str(machine.folder / "bin"))
    assert ended.code == 1
    assert f"there is no {TOOL} here" in ended.err
