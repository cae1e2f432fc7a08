"""The service: what is installed is compared with what would be, and the manager is asked."""

import os
from pathlib import Path

import pytest

from doctor.patient import of
from eventd.doctor.model import Level
from eventd.doctor.service import Candidate, examine_service
from eventd.doctor.visit import Visit
from eventd.service.installation import Form, Installation, for_systemd
from eventd_ipc.messages import Limits, Welcome

ANSWERS = Visit(Welcome(1, "eventd 1", Limits(1, 1, 1, 1), "main", []))
MANAGER = "#!/bin/sh\nexit {code}\n"


class Machine:
    """A home, a program, and a service manager that says whether the service runs."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.program = folder / "eventd"
        self.program.write_text("#!/bin/sh\n")
        self.program.chmod(0o755)
        self.tool = folder / "bin" / "systemctl"
        self.tool.parent.mkdir()

    def manager_says(self, code: int) -> None:
        self.tool.write_text(MANAGER.format(code=code))
        self.tool.chmod(0o755)

    def installation(self, *options: str) -> Installation:
        environ = {"XDG_CONFIG_HOME": str(self.home)}
        return for_systemd(Form.USER, [str(self.program), *options], environ=environ)

    def install(self, *options: str) -> None:
        for file in self.installation(*options).files:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.path.write_text(file.text)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    machine = Machine(tmp_path)
    machine.manager_says(0)
    return machine


def look(machine: Machine, *options: tuple[str, ...], visited: Visit = ANSWERS) -> dict[str, Level]:
    fits = [machine.installation(*each) for each in (options or ((),))]
    return {f.check: f.level for f in examine_service([Candidate("user", fits)], visited)}


def test_nothing_installed_is_no_trouble(machine: Machine) -> None:
    """Somebody may want it so."""
    assert look(machine) == {"service.installed": Level.NOTE}
    assert of(examine_service([], ANSWERS), "service.installed").level is Level.NOTE


def test_installed_current_and_running(machine: Machine) -> None:
    """Also where it was installed with options that we were not given, but the daemon tells."""
    machine.install("--config", "/etc/e.yml")
    well = {"service.installed": Level.OK, "service.runs": Level.OK}
    assert look(machine, (), ("--config", "/etc/e.yml")) == well
    assert look(machine)["service.installed"] is Level.WARNING


def test_a_unit_that_is_older_than_the_program(machine: Machine) -> None:
    """As after an upgrade that changed the unit."""
    machine.install()
    unit = machine.installation().files[0].path
    unit.write_text(unit.read_text().replace("WatchdogSec=30", "WatchdogSec=10"))
    assert look(machine)["service.installed"] is Level.WARNING


def test_a_unit_whose_program_has_gone(machine: Machine) -> None:
    """As after the removal of the environment that it was installed in."""
    machine.install()
    machine.program.unlink()
    assert look(machine)["service.installed"] is Level.PROBLEM


def test_installed_but_not_running(machine: Machine) -> None:
    """No daemon at all is a problem; one that somebody else runs a warning."""
    machine.install()
    machine.manager_says(3)
    assert look(machine, visited=Visit())["service.runs"] is Level.PROBLEM
    assert look(machine)["service.runs"] is Level.WARNING


def test_no_manager_to_ask(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container."""
    machine.install()
    monkeypatch.setenv("PATH", "/nonexistent")
    findings = examine_service([Candidate("user", [machine.installation()])], ANSWERS)
    assert not of(findings, "service.runs").made
