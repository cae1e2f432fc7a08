"""Where a command looks for the daemon: the order of the places, and what it costs."""

from pathlib import Path

import pytest

from cli.support import Eventd
from eventd import paths
from ipc.support.scripted import ScriptedServer


@pytest.fixture
def config(short_tmp: Path, server: ScriptedServer) -> Path:
    """A config file that says where the server's socket is."""
    path = short_tmp / "config.yml"
    path.write_text(f"gateway:\n  eventStore:\n    socket:\n      path: {server.path}\n")
    return path


def test_the_socket_option_comes_first(short_tmp: Path, server: ScriptedServer, config: Path) -> None:
    """Before the variable, and before what a config file says."""
    assert Eventd(["--socket", server.path])("status", EVENTD_SOCKET="/nowhere/s").code == 0
    assert Eventd(["--socket", short_tmp / "other", "--config", config])("status").code == 3


def test_a_named_config_file_says_where_its_daemon_is(config: Path) -> None:
    """By option or variable: another daemon at the usual place is not meant."""
    assert Eventd(["--config", config])("status").code == 0
    assert Eventd()("status", EVENTD_CONFIG=str(config)).code == 0


def test_a_named_config_file_that_is_missing_is_told(short_tmp: Path) -> None:
    """Nothing is guessed."""
    assert Eventd(["--config", short_tmp / "missing.yml"])("status").code == 1


def test_a_named_config_file_that_is_broken_does_not_hide_the_daemon(
    short_tmp: Path, server: ScriptedServer
) -> None:
    """It goes by the one before, and says so; at the usual place, if the file does not tell another one."""
    bad = short_tmp / "bad.yml"
    bad.write_text("gateway: [")
    assert Eventd(["--config", bad])("status", EVENTD_SOCKET=str(server.path)).code == 0


@pytest.fixture
def usual(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the config file of this user would be."""
    monkeypatch.setenv("HOME", str(short_tmp))
    path = paths.user_config()
    path.parent.mkdir(parents=True)
    return path


def test_the_usual_config_file_is_the_last_resort(config: Path, usual: Path) -> None:
    """It is asked where nobody answers at the usual places."""
    config.rename(usual)
    assert Eventd()("status").code == 0


def test_a_broken_config_file_does_not_hide_that_nobody_answers(usual: Path) -> None:
    """The daemon is not running; that is what to say."""
    usual.write_text("gateway: [")
    assert Eventd()("status").code == 3


@pytest.mark.parametrize(("variable", "agent"), [(None, "main"), ("ci", "ci")])
def test_the_agent_is_the_environments(server: ScriptedServer, variable: str | None, agent: str) -> None:
    """Where no option names one; OpenClaw's main agent where nobody does."""
    eventd = Eventd(["--socket", server.path])
    eventd("status") if variable is None else eventd("status", EVENTD_AGENT=variable)
    (hello,) = server.hellos
    assert hello.agent == agent
    assert hello.client.startswith("eventd-cli/")
