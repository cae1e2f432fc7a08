"""Tokens that change under a running daemon: others are let in, and who is not any more has to go."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventd.access.tokens import TokenFolder
from eventd.paths import token_folder
from isolation.socket_support import Message, Wire, entered, log_lines
from support.daemon import Daemon
from support.waiting import wait_until

NO_SERVER = "nats://127.0.0.1:1"  # nothing is shipped here


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ev", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def daemon(folder: Path) -> Iterator[Daemon]:
    """A daemon with a rule for bob, and none for anybody else."""
    with Daemon(folder, {"url": NO_SERVER, "agents": {"bob": {"token": "bob-s3cret"}}}) as daemon:
        yield daemon


@pytest.fixture
def tokens(daemon: Daemon) -> TokenFolder:
    """The tokens that `eventd token` makes for it."""
    return TokenFolder(token_folder(daemon.data))


@pytest.fixture
def bystander(daemon: Daemon) -> Iterator[Wire]:
    """Bob's connection: whatever becomes of others, it is there and is served at the end."""
    with entered(daemon, "bob", "bob-s3cret") as wire:
        yield wire
        assert wire.emit({"type": "custom.still_here"})["op"] == "ack"


def answer_to(daemon: Daemon, agent: str, token: str | None) -> Message:
    """Say hello, and return the answer."""
    with Wire(daemon.socket) as wire:
        return wire.hello(agent, token)


def proof(daemon: Daemon, agent: str, token: str | None = None) -> str | None:
    """Return how an agent is known; None where it is not."""
    proof: str | None = answer_to(daemon, agent, token).get("proof")
    return proof


def dismissal(wire: Wire) -> Message:
    """Wait until a client is told to go; return what it is told at last."""
    *_, last = wire.rest()
    assert (last["op"], last["code"], last.get("id")) == ("error", "unauthorised", None)
    return last


def test_who_is_revoked_goes(daemon: Daemon, tokens: TokenFolder, bystander: Wire) -> None:
    """Its streams end, what it has sent is answered, and it is told why; it does not come in again."""
    token = tokens.make("eve")
    with entered(daemon, "eve", token) as wire, entered(daemon, "eve", token) as idle:
        wire.send({"op": "tail", "id": 1, "last": 0, "follow": True})
        wire.send(*({"op": "emit", "id": n, "events": [{"type": "custom.x"}]} for n in range(2, 50)))
        tokens.revoke("eve")
        replies = wire.rest()
        last = replies.pop()
        assert (last["code"], last.get("id")) == ("unauthorised", None)
        assert "revoked" in last["hint"]
        assert [reply["id"] for reply in replies if reply["op"] == "ack"] == list(range(2, 50))
        (end,) = [reply for reply in replies if reply["id"] == 1 and reply["op"] != "event"]
        assert (end["op"], end["code"]) == ("error", "unauthorised")
        dismissal(idle)
    assert [line["request"] for line in log_lines(daemon)] == ["hello", "hello"]
    assert proof(daemon, "eve", token) is proof(daemon, "eve") is None
    assert bystander.ask("query")[-1]["op"] == "end"


def test_tokens_overlap_while_a_program_changes_over(
    daemon: Daemon, tokens: TokenFolder, bystander: Wire
) -> None:
    """With the old one kept nobody is disturbed; when it goes, those go who came with it, and no others."""
    old = tokens.make("eve")
    with entered(daemon, "eve", old) as first:
        new = tokens.make("eve", keep=True)
        with entered(daemon, "eve", new) as second:
            assert proof(daemon, "eve", old) == "token"
            latest = tokens.make("eve", keep=True)
            tokens.path.joinpath("eve").write_text("\n".join((tokens.lines("eve") or [])[1:]))
            dismissal(first)
            assert second.emit({"type": "custom.x"})["op"] == "ack"
            assert proof(daemon, "eve", old) is None
            assert proof(daemon, "eve", new) == proof(daemon, "eve", latest) == "token"


def test_who_was_locked_out_comes_in_with_a_new_token(daemon: Daemon, tokens: TokenFolder) -> None:
    """Without a restart. Dropping the rule leaves a name that nobody may use, as long as there are others."""
    tokens.make("eve")
    tokens.revoke("eve")
    token = tokens.make("eve")
    assert proof(daemon, "eve", token) == "token"
    with entered(daemon, "eve", token) as wire:
        tokens.drop("eve")
        dismissal(wire)
    assert proof(daemon, "eve", token) is proof(daemon, "eve") is None


def test_the_first_rule_ends_open_access_and_the_last_one_gives_it_back(folder: Path) -> None:
    """Who was in as everybody must come again, and be somebody; who is let in either way stays."""
    with Daemon(folder, {"url": NO_SERVER}) as daemon:
        tokens = TokenFolder(token_folder(daemon.data))
        with entered(daemon, "eve") as anybody:
            assert anybody.ask("status")[0]["op"] == "result"
            token = tokens.make("eve")
            dismissal(anybody)
        assert proof(daemon, "eve") is proof(daemon, "other") is None
        with entered(daemon, "eve", token) as eve:
            assert eve.ask("status")[0]["code"] == "forbidden"
            tokens.drop("eve")
            wait_until(lambda: eve.ask("status")[0]["op"] == "result", what="it may do everything again")
        assert proof(daemon, "eve") == proof(daemon, "eve", token) == proof(daemon, "other") == "open"


def test_a_token_file_is_rotated_by_writing_it(folder: Path) -> None:
    """While it cannot be used nobody is let in by it. Who asks is not told where it is; the log says it."""
    file = folder / "carol.token"
    file.write_text("# two at a time\none-t0ken\ntwo-t0ken\n")
    file.chmod(0o600)
    with Daemon(folder, {"url": NO_SERVER, "agents": {"carol": {"tokenFile": str(file)}}}) as daemon:
        with (
            entered(daemon, "carol", "one-t0ken") as one,
            entered(daemon, "carol", "two-t0ken") as two,
        ):
            file.write_text("two-t0ken\n")
            dismissal(one)
            assert two.emit({"type": "custom.x"})["op"] == "ack"
            file.unlink()
            told = dismissal(two)
            assert str(file) not in str(told)
        for damage in ("missing", "folder", "loop", "bytes", "empty"):
            break_file(file, damage)
            told = answer_to(daemon, "carol", "two-t0ken")
            assert told["code"] == "unauthorised"
            assert str(file) not in str(told)
            shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
        assert any(str(file) in line["message"] for line in log_lines(daemon))
        file.write_text("three-t0ken")
        assert proof(daemon, "carol", "three-t0ken") == "token"
        assert proof(daemon, "carol", "two-t0ken") is None


def break_file(file: Path, damage: str) -> None:
    """Leave something where a file with a token ought to be."""
    if damage == "folder":
        file.mkdir()
    elif damage == "loop":
        file.symlink_to(file)
    elif damage == "bytes":
        file.write_bytes(b"\xff\xfe")
    elif damage == "empty":
        file.write_text("\n")


def test_a_damaged_folder_of_tokens_lets_nobody_in(daemon: Daemon, tokens: TokenFolder) -> None:
    """Not even those with other rules: who needs a token is not known. Administrators can mend it."""
    token = tokens.make("eve")
    tokens.path.rename(aside := tokens.path.with_name("aside"))
    tokens.path.symlink_to(tokens.path)
    assert proof(daemon, "main", daemon.admin_token) == "admin"
    for agent, shown in (("eve", token), ("bob", "bob-s3cret"), ("main", None)):
        told = answer_to(daemon, agent, shown)
        assert told["code"] == "unauthorised"
        assert str(tokens.path) not in str(told)
    assert any(str(tokens.path) in line["message"] for line in log_lines(daemon))
    tokens.path.unlink()
    aside.rename(tokens.path)
    assert proof(daemon, "eve", token) == proof(daemon, "bob", "bob-s3cret") == "token"


def test_the_administrators_token_is_rotated_by_removing_it(daemon: Daemon, bystander: Wire) -> None:
    """It is made anew, for the daemon's user only; who came with the old one goes."""
    old, file = daemon.admin_token, daemon.data / "admin.token"
    with entered(daemon, "main", old) as admin:
        file.unlink()
        dismissal(admin)
    wait_until(file.exists, what="there is a new one")
    new = daemon.admin_token
    assert new != old
    assert file.stat().st_mode & 0o777 == 0o600
    assert (proof(daemon, "main", new), proof(daemon, "main", old)) == ("admin", None)


def test_who_shows_a_token_in_vain_does_not_keep_a_stop_waiting(daemon: Daemon, tokens: TokenFolder) -> None:
    """A revoked client that does not read is closed all the same, and the daemon ends in order."""
    token = tokens.make("eve")
    with entered(daemon, "eve", token), entered(daemon, "bob", "bob-s3cret") as bob:
        tokens.revoke("eve")
        wait_until(lambda: log_lines(daemon), what="eve is dismissed")
        assert daemon.stop() == 0
        (told,) = bob.rest()
        assert told["code"] == "shutting_down"


# Secrets stay where they are.


def command(daemon: Daemon, *args: str, token: str | None = None) -> str:
    """Run `eventd` with the daemon's options, and return all that it prints."""
    environ = {**os.environ, **({"EVENTD_TOKEN": token} if token is not None else {})}
    options = ["--config", str(daemon.folder / "config.yml"), "--socket", str(daemon.socket)]
    done = subprocess.run(
        [sys.executable, "-m", "eventd", *options, *args],
        capture_output=True, text=True, env=environ, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize("level", ["debug", "info"])
def test_no_token_is_shown_anywhere(folder: Path, level: str) -> None:
    """In no log, status, configuration or error, be it right, wrong or revoked, but that of `token new`."""
    file = folder / "carol.token"
    file.write_text("carol-t0ken")
    file.chmod(0o600)
    agents = {"bob": {"token": "bob-s3cret"}, "carol": {"tokenFile": str(file)}}
    settings = {"url": NO_SERVER, "agents": agents, "log": {"format": "json", "level": level}}
    with Daemon(folder, settings) as daemon:
        printed = command(daemon, "token", "new", "eve", "--json")
        eve = str(json.loads(printed.splitlines()[0])["token"])
        assert printed.count(eve) == 1
        admin = str(daemon.admin_token)
        shown = [*command(daemon, "token", "list").splitlines()]
        for agent, token in (
            ("bob", "bob-s3cret"), ("carol", "carol-t0ken"), ("eve", eve), ("main", admin),
            ("bob", "wr0ng-token"), ("carol", "bob-s3cret"), ("eve", admin[:-1]), ("nobody", eve),
        ):  # fmt: skip
            shown.append(str(answer_to(daemon, agent, token)))
            asked = (["whoami", "--agent", agent], ["status"], ["query", "--agent", agent])
            shown += [command(daemon, *args, token=token) for args in asked]
        shown.append(command(daemon, "status", "--json", token=admin))
        shown += [command(daemon, "config", "show"), command(daemon, "config", "check")]
        command(daemon, "token", "revoke", "eve")
        shown.append(command(daemon, "whoami", "--agent", "eve", token=eve))
        assert daemon.stop() == 0
        shown.append(daemon.log_text)
    assert "takes events on" in shown[-1]
    for secret in ("bob-s3cret", "carol-t0ken", "wr0ng-token", eve, admin, admin[:-1]):
        assert not [text for text in shown if secret in text]
