"""What `eventd service` would write: fit for this installation, whatever its paths look like."""

import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eventd.service import installation
from eventd.service.installation import (
    Form,
    Installation,
    ServiceError,
    for_launchd,
    for_systemd,
    systemd_version,
)

ODD = "/opt/an odd % place/with $HOME and \"quotes\" and 'those'/eventd"


@pytest.fixture
def no_homes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where this Python, wherever it is, is installed for all."""
    monkeypatch.setattr(installation, "HOMES", ())


def text_of(found: Installation, name: str) -> str:
    """The text of the one file with that name."""
    return next(file.text for file in found.files if file.path.name == name)


def lines_of(text: str, name: str) -> list[str]:
    """The values of a setting."""
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{name}=")]


def test_only_program_and_socket_differ_from_the_files_that_come_along() -> None:
    """Whoever reads the documentation's unit knows the installed one."""
    found = for_systemd(Form.USER, ["/opt/eventd", "--config", "/etc/e.yml"], Path("/srv/100%/s"), {})
    service, socket = text_of(found, "eventd.service"), text_of(found, "eventd.socket")
    assert lines_of(service, "ExecStart") == ["/opt/eventd --config /etc/e.yml run"]
    assert lines_of(socket, "ListenStream") == ["/srv/100%%/s"]
    for name, text in (("eventd.service", service), ("eventd.socket", socket)):
        shipped = (installation.CHECKOUT / "systemd" / "user" / name).read_text().splitlines()
        assert sum(a != b for a, b in zip(text.splitlines(), shipped, strict=True)) == 1


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("systemd 252 (252.38-1~deb12u1)\n+PAM +AUDIT", 252),
        ("systemd 253 (v253.17-1.fc38)\n", 253),
        ("systemd 257.7\n", 257),
        ("", 0),
        ("systemctl: unrecognized option '--version'", 0),
    ],
)
def test_the_version_of_systemd_is_read_from_its_answer(answer: str, version: int) -> None:
    """Where it is not to be read, what works everywhere is installed."""
    assert systemd_version(answer) == version


@pytest.mark.parametrize(
    ("version", "kind", "reload"),
    [
        (0, "notify", ["/bin/kill -HUP $MAINPID"]),
        (252, "notify", ["/bin/kill -HUP $MAINPID"]),
        (253, "notify-reload", []),
        (257, "notify-reload", []),
    ],
)
@pytest.mark.parametrize("form", list(Form))
@pytest.mark.usefixtures("no_homes")
def test_a_reload_is_signalled_once(form: Form, version: int, kind: str, reload: list[str]) -> None:
    """systemd does it by itself where it knows how to wait for its end, and by a command elsewhere."""
    service = text_of(for_systemd(form, ["/opt/eventd"], environ={}, version=version), "eventd.service")
    assert lines_of(service, "Type") == [kind]
    assert lines_of(service, "ExecReload") == reload


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_a_program_in_an_odd_place(short_tmp: Path) -> None:
    """Spaces, quotes and what systemd or a shell would replace are only characters of a path."""
    program = short_tmp / ODD.lstrip("/")
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for file in for_systemd(Form.USER, [str(program)], environ={}).files:
        (short_tmp / file.path.name).write_text(file.text)
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", short_tmp / "eventd.service"],
        env={**os.environ, "XDG_RUNTIME_DIR": str(short_tmp)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_shell_of_launchd_starts_a_program_in_an_odd_place(short_tmp: Path) -> None:
    """It gets the options, and what it says goes into the log."""
    program = short_tmp / ODD.lstrip("/")
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@" >&2\n')
    program.chmod(0o755)
    (short_tmp / "Library" / "Logs").mkdir(parents=True)
    (file,) = for_launchd(Form.USER, [str(program)], Path("/a b/s")).files
    job = plistlib.loads(file.text.encode())
    subprocess.run(job["ProgramArguments"], env={"HOME": str(short_tmp)}, check=True)
    assert (short_tmp / "Library" / "Logs" / "eventd.log").read_text() == "--socket /a b/s run\n"
    assert job["KeepAlive"] is True
    assert job["Umask"] == 0o077


@pytest.mark.usefixtures("no_homes")
def test_the_system_form_has_a_user_of_its_own() -> None:
    """Who is made before the unit that names it is started."""
    found = for_systemd(Form.SYSTEM, ["/usr/local/bin/eventd"])
    assert [str(file.path) for file in found.files] == [
        "/etc/sysusers.d/eventd.conf",
        "/etc/systemd/system/eventd.service",
        "/etc/systemd/system/eventd.socket",
    ]
    assert lines_of(text_of(found, "eventd.service"), "User") == ["eventd"]
    assert str(found.begin[0]) == "systemd-sysusers /etc/sysusers.d/eventd.conf"
    assert "--user" not in " ".join(map(str, found.begin))


@pytest.mark.parametrize(
    "program", [["/home/ann/.local/bin/eventd"], ["/opt/eventd", "--config", "/root/config.yml"]]
)
def test_the_system_form_is_not_installed_where_it_could_not_start(program: list[str]) -> None:
    """`ProtectHome=` hides homes from it; so a program or a config file in one is refused."""
    with pytest.raises(ServiceError, match=r"/home/ann|/root/") as caught:
        for_systemd(Form.SYSTEM, program)
    assert "--global" in caught.value.hint


def test_an_interpreter_in_a_home_is_in_the_way_as_well(
    monkeypatch: pytest.MonkeyPatch, short_tmp: Path
) -> None:
    """A command for all users may be a link into one's own environment."""
    (short_tmp / "python").symlink_to("/home/ann/.pyenv/bin/python")
    monkeypatch.setattr(sys, "executable", str(short_tmp / "python"))
    with pytest.raises(ServiceError, match="/home/ann"):
        for_systemd(Form.SYSTEM, ["/usr/local/bin/eventd"])


def test_launchd_has_no_system_form() -> None:
    """It is said, with what to do instead."""
    with pytest.raises(ServiceError) as caught:
        for_launchd(Form.SYSTEM, ["/opt/eventd"])
    assert "--user" in caught.value.hint
