"""`eventd token` and `eventd whoami`, with a daemon and without."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.support import Eventd, Terminal
from eventd.access.tokens import TokenFolder, digest_of, is_known
from eventd.paths import token_folder
from eventd_ipc.blocking import Client, connect
from eventd_ipc.errors import EventdClientError
from support.daemon import Daemon
from support.waiting import wait_until


@pytest.fixture
def data(short_tmp: Path) -> Path:
    """The data folder of a daemon that is not running."""
    (short_tmp / "data").mkdir()
    (short_tmp / "config.yml").write_text(f"gateway:\n  eventStore:\n    dataDir: {short_tmp / 'data'}\n")
    return short_tmp / "data"


@pytest.fixture
def offline(short_tmp: Path, data: Path) -> Eventd:
    """The command, where no daemon is."""
    return Eventd(["--config", short_tmp / "config.yml", "--socket", short_tmp / "eventd.sock"])


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    folder = Path(tempfile.mkdtemp(prefix="ev", dir="/tmp"))
    rules = {"bob": {"token": "bob-s3cret", "canRead": ["alice"]}}
    with Daemon(folder, {"url": "nats://127.0.0.1:1", "agents": rules}) as daemon:
        yield daemon
    shutil.rmtree(folder)


@pytest.fixture
def online(daemon: Daemon) -> Eventd:
    """The command, for the daemon that runs."""
    return Eventd(["--config", daemon.folder / "config.yml", "--socket", daemon.socket])


def test_a_token_is_shown_once_and_kept_as_a_hash(offline: Eventd, data: Path) -> None:
    """Alone on standard output, so that a script can take it; all that is said about it goes beside."""
    made = offline("token", "new", "alice")
    (token,) = made.lines
    assert made.code == 0
    assert token not in made.err
    assert "the only time" in made.err
    assert "agents without a rule are refused" in made.err
    assert "no daemon answers now" in made.err
    assert is_known(digest_of(token), TokenFolder(token_folder(data)).lines("alice") or [])
    assert not [file for file in data.rglob("*") if file.is_file() and token in file.read_text()]
    again = offline("token", "new", "bob", "--json")
    (shown,) = again.objects
    assert shown["agent"] == "bob"
    assert shown["token"].startswith("evt_")
    assert "agents without a rule are refused" not in again.err


def test_a_new_token_replaces_the_old_ones_or_joins_them(offline: Eventd, data: Path) -> None:
    (first,) = offline("token", "new", "alice").lines
    (second,) = offline("token", "new", "alice", "--keep").lines
    lines = TokenFolder(token_folder(data)).lines("alice") or []
    assert [is_known(digest_of(token), lines) for token in (first, second)] == [True, True]
    (third,) = offline("token", "new", "alice").lines
    lines = TokenFolder(token_folder(data)).lines("alice") or []
    assert [is_known(digest_of(token), lines) for token in (first, second, third)] == [False, False, True]


def test_the_list_says_how_many_are_good(offline: Eventd) -> None:
    """And who is locked out; no token and no hash."""
    assert "no agent has a token" in offline("token", "list").err
    made = [offline("token", "new", "alice").lines[0], offline("token", "new", "alice", "--keep").lines[0]]
    offline("token", "new", "bob")
    offline("token", "revoke", "bob")
    listed = offline("token", "list")
    assert [line.split("  ")[0] for line in listed.lines] == ["agent", "alice", "bob"]
    assert "2 tokens" in listed.lines[1]
    assert "revoked, locked out" in listed.lines[2]
    objects = offline("token", "list", "--json").objects
    assert [(found["agent"], found["tokens"]) for found in objects] == [("alice", 2), ("bob", 0)]
    assert not [token for token in made if token in listed.out.decode() or digest_of(token) in str(objects)]


def test_what_is_not_there_cannot_be_taken_away(offline: Eventd) -> None:
    for args in (["revoke", "alice"], ["drop", "alice", "--yes"]):
        done = offline("token", *args)
        assert done.code == 1
        assert "alice has no token from here" in done.err


def test_dropping_a_rule_is_asked_for(offline: Eventd, data: Path) -> None:
    """On a terminal; elsewhere it has to be said. Who drops the last one is told what that means."""
    file = data / "tokens" / "alice"
    offline("token", "new", "alice")
    assert offline("token", "drop", "alice").code == 2
    for answer, gone in (("n\n", False), ("y\n", True)):
        with Terminal() as terminal:
            with offline.start("token", "drop", "alice", stdin=terminal.fd, stderr=terminal.fd) as running:
                terminal.wait_for("Let alice do without a token?")
                terminal.type(answer)
                ended = running.end()
            drawn = terminal.close()
        assert (ended.code, file.exists()) == (0 if gone else 1, not gone)
        assert ("it was the last one" in drawn) is gone


@pytest.mark.parametrize("name", ["*", "agent:x", "", " alice", "a" * 65])
def test_what_is_no_agent_gets_no_token(offline: Eventd, data: Path, name: str) -> None:
    assert offline("token", "new", "--", name).code == 2
    assert not (data / "tokens").exists()


@pytest.mark.parametrize("name", ["../alice", "alice/..", ".", "..", "é", "a b"])
def test_any_name_is_a_file_of_the_folder(offline: Eventd, data: Path, name: str) -> None:
    """None leads out of it."""
    assert offline("token", "new", "--", name).code == 0
    assert len(list((data / "tokens").iterdir())) == 1
    assert [found["agent"] for found in offline("token", "list", "--json").objects] == [name]
    assert offline("token", "drop", "--yes", "--", name).code == 0
    assert not list((data / "tokens").iterdir())


def test_without_a_data_folder_there_is_nothing_to_write_to(offline: Eventd, data: Path) -> None:
    """Making one would leave it to whoever runs the command, be it root."""
    data.rmdir()
    done = offline("token", "new", "alice")
    assert done.code == 1
    assert "eventd has not run here yet" in done.err
    assert not data.exists()


def test_a_running_daemon_takes_a_token_at_once(online: Eventd, daemon: Daemon) -> None:
    """And lets the agent go as soon as it is revoked."""
    made = online("token", "new", "alice")
    (token,) = made.lines
    assert "no daemon answers" not in made.err
    assert "does not let it in" not in made.err
    with connect("alice", socket=daemon.socket, token=token) as client:
        assert client.welcome.proof == "token"
        assert online("token", "revoke", "alice").code == 0
        wait_until(lambda: not _answers(client), what="alice is dismissed")
    assert online("whoami", "--agent", "alice", EVENTD_TOKEN=token).code == 4


def _answers(client: Client) -> bool:
    try:
        client.ping()
    except EventdClientError:
        return False
    return True


def test_a_token_for_another_daemons_files_is_told(online: Eventd, daemon: Daemon, short_tmp: Path) -> None:
    """It was made, but who answers here does not know it."""
    (short_tmp / "data").mkdir()
    config = short_tmp / "config.yml"
    config.write_text(f"gateway:\n  eventStore:\n    dataDir: {short_tmp / 'data'}\n")
    made = Eventd(["--config", config, "--socket", daemon.socket])("token", "new", "alice")
    assert made.code == 0
    assert "does not let it in" in made.err


def test_whoami_says_by_what_one_is_known(online: Eventd, daemon: Daemon) -> None:
    """The token in the environment wins over that of the administrator, which is there to be read."""
    bob = online("whoami", "--agent", "bob", "--json", EVENTD_TOKEN="bob-s3cret").objects[0]
    assert (bob["agent"], bob["proof"], bob["admin"]) == ("bob", "token", False)
    assert "status" not in bob["can"]
    admin = online("whoami", "--json").objects[0]
    assert (admin["agent"], admin["proof"], admin["admin"]) == ("main", "admin", True)
    shown = online("whoami", "--agent", "bob", EVENTD_TOKEN="bob-s3cret").out.decode()
    assert "the token in EVENTD_TOKEN" in shown
    assert "bob-s3cret" not in shown


def test_a_wrong_token_is_not_made_up_for(online: Eventd) -> None:
    """Who has a token means that one: with a wrong one nobody becomes an administrator."""
    for args in (["whoami"], ["status"], ["query"]):
        done = online(*args, EVENTD_TOKEN="wrong")
        assert done.code == 4
        assert "unauthorised" in done.err


def test_operators_need_not_show_their_token_themselves(online: Eventd, daemon: Daemon) -> None:
    """Whoever can read it is the administrator, of the daemon that has made it."""
    assert json.loads(online("status", "--json").out)["pid"] == daemon.pid
    assert online("query", "--agent", "*").code == 0
    assert online("index", "status").code == 0


def test_the_administrators_token_is_for_the_daemons_user(
    online: Eventd, daemon: Daemon, short_tmp: Path
) -> None:
    """A config file of another daemon has another token, which this one does not know: that is told."""
    (short_tmp / "data").mkdir()
    (short_tmp / "data" / "admin.token").write_text("evt_other")
    config = short_tmp / "config.yml"
    config.write_text(f"gateway:\n  eventStore:\n    dataDir: {short_tmp / 'data'}\n")
    done = Eventd(["--config", config, "--socket", daemon.socket])("status")
    assert done.code == 4
    assert "evt_other" not in done.err


def test_who_has_a_token_in_the_config_file_too_is_not_told_to_be_locked_out(online: Eventd) -> None:
    """Revoking takes away what was made here; with the other one bob is still let in."""
    online("token", "new", "bob")
    revoked = online("token", "revoke", "bob")
    assert revoked.code == 0
    assert "locked out" not in revoked.err
    assert "the one in config.yml stays good" in revoked.err
    known = online("whoami", "--agent", "bob", "--json", EVENTD_TOKEN="bob-s3cret")
    assert known.objects[0]["proof"] == "token"
    assert online("token", "drop", "bob", "--yes").code == 0
