"""`allowUnlisted`: names without a rule are let in, as themselves and as nobody else."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from isolation.socket_support import ALL_IS_LOGGED, Wire, audited, entered
from support.daemon import Daemon

RULES = {
    "alice": {"token": "alice-s3cret", "canRead": ["guest"]},
    "guest": {"canRead": ["alice"], "canWriteAs": ["alice"]},
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    folder = Path(tempfile.mkdtemp(prefix="ev", dir="/tmp"))
    settings = {"url": "nats://127.0.0.1:1", "agents": RULES, "allowUnlisted": True}
    with Daemon(folder, settings, mutation=ALL_IS_LOGGED) as daemon:
        with entered(daemon, "alice", "alice-s3cret") as alice:
            for visibility in ("public", "internal", "secret"):
                alice.emit({"type": "custom.x", "id": f"alice-{visibility}", "visibility": visibility})
        yield daemon
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["guest", "stranger", "main", "admin", "agent", "a.b-c_d", "A" * 64])
@pytest.mark.parametrize("token", [None, "", "alice-s3cret", "wrong"])
def test_a_plain_name_is_let_in_whatever_it_shows(daemon: Daemon, name: str, token: str | None) -> None:
    """It may do nothing that is for anybody in particular: the grants of its entry do not hold."""
    with Wire(daemon.socket) as wire:
        welcome = wire.hello(name, token)
        assert (welcome["agent"], welcome["proof"], welcome["admin"]) == (name, "unlisted", False)
        assert wire.emit({"type": "custom.x"})["op"] == "ack"
        for fields in ({"agent": "alice"}, {"session": "agent:alice:main"}, {"agent": "another"}):
            assert wire.emit({"type": "custom.forged", **fields})["code"] == "forbidden"
        assert wire.ask("query", agent="alice")[0]["code"] == "forbidden"
        seen = {event["id"] for event in wire.events("query")}
        assert {event_id for event_id in seen if event_id.startswith("alice")} == {"alice-public"}
        replayed = {event["id"] for event in wire.events("replay")}  # from the index: NATS is away
        assert {event_id for event_id in replayed if event_id.startswith("alice")} <= {"alice-public"}
        for op in ("status", "metrics", "reload", "index", "deadletter"):
            with audited(daemon, op):
                assert wire.ask(op)[0]["code"] == "forbidden"


@pytest.mark.parametrize("token", [None, "wrong"])
@pytest.mark.parametrize(
    "name", ["alice", "Alice", "ALICE", "GUEST", "аlice", "ａlice", "alicé", "../alice", "a b", "alice%"]
)
def test_a_listed_name_or_one_that_looks_so_is_not(daemon: Daemon, name: str, token: str | None) -> None:
    """Not in other letters, nor with signs that mean something elsewhere."""
    with Wire(daemon.socket) as wire:
        assert wire.hello(name, token)["code"] == "unauthorised"
        assert wire.is_closed()


def test_who_is_called_as_older_writers_are_leaves_nothing_with_others(daemon: Daemon) -> None:
    """ "agent" is a plain name, and what is on its subject is read as of the agent in the session key."""
    with entered(daemon, "agent") as wire:
        fact = {"type": "memory.fact", "payload": {"text": "alice owes me money"}}
        for session in ("agent:alice:main", "alice:x"):
            answer = wire.emit({**fact, "agent": "agent", "session": session})
            assert answer["code"] == "forbidden"
        assert wire.emit({**fact, "agent": "agent", "session": "agent:agent:main"})["op"] == "ack"


def test_nobody_reads_by_a_grant_on_a_name_that_anybody_may_take(daemon: Daemon) -> None:
    """The other way round it is as said: alice may read what guests leave."""
    with entered(daemon, "guest") as guest:
        guest.emit({"type": "custom.x", "id": "of-a-guest"}, {"type": "custom.x", "visibility": "secret"})
        assert guest.ask("get", event="alice-internal")[0]["code"] == "forbidden"
    with entered(daemon, "alice", "alice-s3cret") as alice:
        assert alice.ask("get", event="of-a-guest")[0]["op"] == "event"
        assert "secret" not in {event["visibility"] for event in alice.events("query", agent="guest")}
