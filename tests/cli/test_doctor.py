"""`eventd doctor` as people and programs see it: without a daemon, and without any NATS."""

import json
import stat
from pathlib import Path

import pytest

from cli.support import Eventd, Terminal
from eventd.cli.doctor_view import lines
from eventd.doctor.model import Finding, Fix, Level, unmade


async def _done() -> str:
    return "done"


FINDINGS = [
    Finding("config.loads", Level.OK, "config file", "/etc/e.yml"),
    Finding("daemon.answers", Level.PROBLEM, "daemon", "nobody answers", "start it"),
    unmade("disk.room", "disk", "may not look"),
    Finding("nats.sync", Level.NOTE, "sync interval", "unknown", route="bob"),
    Finding(
        "stream.exists", Level.WARNING, "stream", "none\x1b[2J", "make it", "bob", fix=Fix("make it", _done)
    ),
]


@pytest.fixture
def config(short_tmp: Path) -> Path:
    """A configuration with a server that is away, and a secret that everybody can read."""
    password = short_tmp / "password"
    password.write_text("hunter2\n")
    password.chmod(0o644)
    settings = {
        "dataDir": str(short_tmp / "data"),
        "url": "nats://127.0.0.1:1",
        "user": "main",
        "passwordFile": str(password),
    }
    file = short_tmp / "config.yml"
    file.write_text(json.dumps({"gateway": {"eventStore": settings}}))
    return file


@pytest.fixture
def eventd(short_tmp: Path, config: Path) -> Eventd:
    return Eventd(["--config", config, "--socket", short_tmp / "eventd.sock"])


def test_a_line_a_finding_the_remedy_below_and_what_it_comes_to_last() -> None:
    """Aligned, under the part or the route that it is about; nothing in it steers the terminal."""
    assert list(lines(FINDINGS, colour=False, can_fix=True)) == [
        "Configuration",
        "  ✓ config file    /etc/e.yml",
        "",
        "Daemon",
        "  ✗ daemon         nobody answers",
        "                   → start it",
        "",
        "Disk",
        "  ? disk           may not look",
        "",
        "Route bob",
        "  · sync interval  unknown",
        r"  ! stream         none\x1b[2J",
        "                   → make it",
        "",
        "1 problem, 1 warning (1 check ok, 1 note, 1 not made)",
        "`eventd doctor --fix` can, and asks before each:",
        "  - make it",
    ]


def test_where_all_is_well_the_last_line_says_so() -> None:
    """And nothing is offered."""
    assert list(lines(FINDINGS[:1], colour=False, can_fix=True))[-1] == "all is well (1 check ok)"


def test_without_daemon_and_nats_it_goes_as_far_as_it_can(eventd: Eventd) -> None:
    """Exit code 1; standard error stays empty; no colour, since nobody looks at it; no secret."""
    ended = eventd("doctor")
    text = ended.out.decode()
    assert (ended.code, ended.err) == (1, "")
    assert "eventd is not running" in text
    assert "connection refused" in text
    assert "hunter2" not in text
    assert "\x1b" not in text


def test_agent_tools_of_the_user_are_looked_at(eventd: Eventd, short_tmp: Path) -> None:
    """Those that are there; connected or not."""
    (short_tmp / ".codex").mkdir()
    home = str(short_tmp)

    def tools() -> dict[str, str]:
        [document] = eventd("doctor", "--json", HOME=home, PATH="/usr/bin:/bin").objects
        return {f["check"]: f["level"] for f in document["findings"] if f["check"].startswith("tools.")}

    assert tools() == {"tools.installed": "note"}
    assert eventd("connect", "codex", HOME=home, PATH="/usr/bin:/bin").code == 0
    assert tools() == {
        "tools.installed": "ok",
        "tools.trusted": "problem",
        "tools.firing": "note",
        "tools.context": "note",
        "tools.spool": "ok",
    }


def test_json_is_one_document_on_one_line(eventd: Eventd) -> None:
    """With the same exit code."""
    ended = eventd("doctor", "--json")
    [document] = ended.objects
    assert (ended.code, document["level"]) == (1, "problem")
    assert {"config.loads", "daemon.answers", "nats.connection"} <= {f["check"] for f in document["findings"]}
    assert "hunter2" not in ended.out.decode()


def test_what_is_safe_is_fixed_without_asking_only_where_that_is_said(eventd: Eventd, config: Path) -> None:
    """The document has what was done, and the findings as they are afterwards."""
    password = config.parent / "password"
    [before] = eventd("doctor", "--json").objects
    assert [f["fix"]["what"] for f in before["findings"] if f["fix"]] == [f"chmod o-rwx {password}"]
    assert stat.S_IMODE(password.stat().st_mode) == 0o644
    assert eventd("doctor", "--fix").code == 2  # there is nobody to ask
    [after] = eventd("doctor", "--fix", "--yes", "--json").objects
    assert [(each["what"], each["done"]) for each in after["fixed"]] == [(f"chmod o-rwx {password}", True)]
    assert not [f for f in after["findings"] if f["fix"]]
    assert stat.S_IMODE(password.stat().st_mode) == 0o640


@pytest.mark.parametrize(("answer", "mode"), [("n", 0o644), ("y", 0o640)])
def test_a_person_is_asked(eventd: Eventd, config: Path, answer: str, mode: int) -> None:
    """Before anything is changed."""
    with Terminal() as terminal:
        with eventd.start(
            "doctor", "--fix", stdin=terminal.fd, stdout=terminal.fd, stderr=terminal.fd
        ) as run:
            terminal.wait_for("chmod o-rwx")
            terminal.wait_for("[y/N]")
            terminal.type(f"{answer}\n")
            assert run.end().code == 1
        drawn = terminal.close()
    assert "\x1b[" in drawn  # colours, where somebody looks
    assert stat.S_IMODE((config.parent / "password").stat().st_mode) == mode


@pytest.mark.parametrize("words", [["--yes"], ["--narrow", "s"], ["--fix", "--json"], ["--timeout", "soon"]])
def test_options_that_make_no_sense(eventd: Eventd, words: list[str]) -> None:
    """Are refused before anything is looked at."""
    ended = eventd("doctor", *words)
    assert (ended.code, ended.out) == (2, b"")
