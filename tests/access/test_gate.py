"""The gate: who is let in as whom, and that everybody else is not."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from eventd.access.gate import Gate, NotAdmitted
from eventd.access.identity import Identity, Proof
from eventd.access.tokens import TokenFolder, digest_of
from eventd.config.settings import AccessSettings, AgentAccess
from eventd.paths import admin_token_file, token_folder
from eventd.secret import Secret


@dataclass
class Process:
    """Who is at the other end."""

    uid: int
    gids: frozenset[int] = frozenset()


ALICE = AgentAccess(token=Secret("s3cret"), can_read=frozenset({"bob"}), can_write_as=frozenset({"bob"}))
BOB = AgentAccess(uids=frozenset({1000}), gids=frozenset({50}))
BOTH = AgentAccess(token=Secret("t"), uids=frozenset({1000}))
RULES = {"alice": ALICE, "bob": BOB, "both": BOTH, "carol": AgentAccess(can_read=frozenset({"alice"}))}


def gate(folder: Path, **settings: object) -> Gate:
    made = Gate(AccessSettings(**{"agents": RULES, **settings}), folder)  # type: ignore[arg-type]
    made.prepare()
    return made


def enter(
    gate: Gate, agent: str, token: str | None = None, uid: int | None = None, gids: tuple[int, ...] = ()
) -> Identity | str:
    """Return who is let in, or why not."""
    peer = None if uid is None else Process(uid, frozenset(gids))
    try:
        return gate.admit(agent, None if token is None else digest_of(token), peer)
    except NotAdmitted as error:
        return str(error)


def proof(*args: object, **kwargs: object) -> str | None:
    entered = enter(*args, **kwargs)  # type: ignore[arg-type]
    return entered.proof if isinstance(entered, Identity) else None


def test_without_rules_everybody_is_the_one_user(tmp_path: Path) -> None:
    """Whatever token they show; `canRead` is no rule, but holds."""
    opened = gate(tmp_path, agents={"carol": RULES["carol"]})
    carol = enter(opened, "carol", "nonsense", 5)
    assert isinstance(carol, Identity)
    assert (carol.proof, carol.admin) == (Proof.OPEN, True)
    assert carol.granted("carol") == {"alice"}
    assert carol.may_write_as("anybody")


def test_a_token_proves_its_agent_and_no_other(tmp_path: Path) -> None:
    rules = gate(tmp_path)
    alice = enter(rules, "alice", "s3cret")
    assert isinstance(alice, Identity)
    assert (alice.agent, alice.proof, alice.admin) == ("alice", Proof.TOKEN, False)
    assert alice.granted("alice") == {"bob"}
    assert [alice.may_write_as(name) for name in ("alice", "bob", "carol")] == [True, True, False]
    assert "has to show its token" in str(enter(rules, "alice"))
    for wrong in ("", "S3cret", "s3cret ", "t", digest_of("s3cret"), "x" * 10_000):
        assert "is not one of" in str(enter(rules, "alice", wrong))
    assert enter(rules, "bob", "s3cret") == "this process may not speak as agent 'bob'"


def test_the_kernel_proves_an_agent_by_user_or_group(tmp_path: Path) -> None:
    rules = gate(tmp_path)
    assert proof(rules, "bob", uid=1000) == Proof.PEER
    assert proof(rules, "bob", uid=7, gids=(1, 50)) == Proof.PEER
    assert enter(rules, "bob", uid=7, gids=(1,)) == "user 7 may not speak as agent 'bob'"
    assert enter(rules, "bob") == "this process may not speak as agent 'bob'"
    assert enter(rules, "bob", uid=0) == "user 0 may not speak as agent 'bob'"


def test_where_both_are_asked_for_both_are_needed(tmp_path: Path) -> None:
    rules = gate(tmp_path)
    assert proof(rules, "both", "t", uid=1000) == Proof.TOKEN
    assert proof(rules, "both", "t", uid=1001) is None
    assert proof(rules, "both", uid=1000) is None


@pytest.mark.parametrize("name", ["dave", "carol", "Alice", "аlice", "alice\u200b", "../alice", "alice%2E"])
def test_a_name_without_a_rule_is_refused(tmp_path: Path, name: str) -> None:
    """Also one that has an entry without a rule, and one that looks like another's."""
    assert "no rule lets anybody speak as" in str(enter(gate(tmp_path), name, "s3cret", 1000))


def test_unlisted_names_are_let_in_where_that_is_said(tmp_path: Path) -> None:
    """They may do what any agent may; their grants do not hold, since anybody may take the name."""
    rules = gate(tmp_path, allow_unlisted=True)
    carol = enter(rules, "carol")
    assert isinstance(carol, Identity)
    assert (carol.proof, carol.admin, carol.granted("carol")) == (Proof.UNLISTED, False, frozenset())
    assert not carol.may_write_as("alice")
    assert proof(rules, "dave") == Proof.UNLISTED
    assert proof(rules, "alice") is None


@pytest.mark.parametrize("name", ["Alice", "ALICE", "аlice", "alice\u200b", "ａlice", "../alice", "a b"])
def test_an_unlisted_name_that_could_be_taken_for_another_is_refused(tmp_path: Path, name: str) -> None:
    assert "could be taken for" in str(enter(gate(tmp_path, allow_unlisted=True), name))


def test_a_made_token_is_a_rule_by_itself(tmp_path: Path) -> None:
    """From the moment it is made, for an agent that stands in no file, too; and without a restart."""
    opened = gate(tmp_path, agents={})
    assert proof(opened, "eve") == Proof.OPEN
    tokens = TokenFolder(token_folder(tmp_path))
    token = tokens.make("eve")
    assert opened.look()
    assert not opened.look()
    assert opened.changes == 1
    assert proof(opened, "eve", token) == Proof.TOKEN
    assert proof(opened, "eve") is proof(opened, "other") is None
    tokens.revoke("eve")
    assert opened.look()
    assert proof(opened, "eve", token) is proof(opened, "other") is None
    tokens.drop("eve")
    assert opened.look()
    assert proof(opened, "other") == Proof.OPEN


def test_a_token_in_a_file_is_rotated_by_writing_the_file(tmp_path: Path) -> None:
    """While the file cannot be read, or is empty, nobody is let in by it."""
    file = tmp_path / "t"
    file.write_text("# old and new\none\ntwo\n")
    rules = gate(tmp_path, agents={"eve": AgentAccess(token=Secret(path=file))})
    assert proof(rules, "eve", "one") == proof(rules, "eve", "two") == Proof.TOKEN
    file.write_text("two\n")
    assert rules.look()
    assert (proof(rules, "eve", "one"), proof(rules, "eve", "two")) == (None, Proof.TOKEN)
    for text in ("", "# nothing\n"):
        file.write_text(text)
        assert proof(rules, "eve", "two") is proof(rules, "eve", "") is None
    file.unlink()
    assert "cannot be checked" in str(enter(rules, "eve", "two"))


def test_what_cannot_be_read_lets_nobody_in(tmp_path: Path) -> None:
    """A damaged folder or file of tokens is no reason to do without."""
    rules = gate(tmp_path, agents={})
    tokens = TokenFolder(token_folder(tmp_path))
    tokens.make("eve")
    (tokens.path / "eve").write_bytes(b"\xff")
    assert "cannot be checked" in str(enter(rules, "eve", "x"))
    (tokens.path / "eve").unlink()
    tokens.path.rmdir()
    tokens.path.write_text("")
    assert "nobody can be let in" in str(enter(rules, "other"))


def test_administrators_show_their_token_with_any_name(tmp_path: Path) -> None:
    """It may read and write as everybody; the token of an agent makes no administrator."""
    rules = gate(tmp_path)
    token = admin_token_file(tmp_path).read_text().strip()
    for name in ("alice", "nobody-knows"):
        admin = enter(rules, name, token)
        assert isinstance(admin, Identity)
        assert (admin.agent, admin.proof, admin.admin) == (name, Proof.ADMIN, True)
        assert admin.may_write_as("bob")
        assert admin.granted("alice") == {"bob"}
    admin_token_file(tmp_path).unlink()
    assert rules.look()
    assert proof(rules, "nobody-knows", token) is None
    assert proof(rules, "alice", "") is None


def test_an_administrators_token_is_rotated_by_removing_it(tmp_path: Path) -> None:
    """The next look makes another one, for its owner only."""
    rules = gate(tmp_path)
    file = admin_token_file(tmp_path)
    old = file.read_text().strip()
    file.unlink()
    assert rules.look()
    new = file.read_text().strip()
    assert (proof(rules, "main", old), proof(rules, "main", new)) == (None, Proof.ADMIN)
    assert file.stat().st_mode & 0o777 == 0o600
    assert not rules.look()


def test_an_administrators_token_that_others_can_read_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At the start, and not at each look."""
    rules = gate(tmp_path)
    assert not caplog.records
    admin_token_file(tmp_path).chmod(0o640)
    rules.prepare()
    rules.look()
    rules.look()
    assert [vars(record)["action"] for record in caplog.records] == ["admin_token_exposed"]


def test_a_disk_that_takes_no_new_token_ends_nothing(tmp_path: Path) -> None:
    """Nobody is an administrator by a token then."""
    rules = gate(tmp_path)
    admin_token_file(tmp_path).unlink()
    tmp_path.rename(moved := tmp_path.with_name("moved"))
    assert rules.look()
    assert not rules.look()
    moved.rename(tmp_path)
    assert rules.look()
    assert proof(rules, "main", admin_token_file(tmp_path).read_text().strip()) == Proof.ADMIN


def test_administrators_by_user_are_so_as_long_as_they_show_no_token(tmp_path: Path) -> None:
    """An agent that runs as such a user is only that agent."""
    rules = gate(tmp_path, admin_uids=frozenset({5}), admin_gids=frozenset({60}))
    assert proof(rules, "main", uid=5) == proof(rules, "main", uid=9, gids=(60,)) == Proof.ADMIN
    assert proof(rules, "alice", "s3cret", uid=5) == Proof.TOKEN
    assert proof(rules, "alice", "wrong", uid=5) is None
    assert proof(rules, "main", uid=6) is None


def test_administrators_by_user_are_a_rule(tmp_path: Path) -> None:
    """Who names administrators does not mean that everybody is one."""
    rules = gate(tmp_path, agents={}, admin_uids=frozenset({5}))
    assert proof(rules, "main", uid=6) is None
    assert proof(rules, "main", uid=5) == Proof.ADMIN


@pytest.mark.parametrize("damage", ["folder", "loop", "bytes"])
def test_a_stranger_is_not_told_which_file_is_damaged(tmp_path: Path, damage: str) -> None:
    """Files and folders are the operator's business: the cause names them, and goes into the log."""
    tokens = TokenFolder(token_folder(tmp_path))
    tokens.make("eve")
    file = tokens.path / "eve"
    file.unlink()
    if damage == "folder":
        file.mkdir()
    elif damage == "loop":
        file.symlink_to(file)
    else:
        file.write_bytes(b"\xff")
    rules = gate(tmp_path, agents={"bob": AgentAccess(token=Secret(path=tmp_path / "missing"))})
    for name in ("eve", "bob"):
        with pytest.raises(NotAdmitted) as raised:
            rules.admit(name, digest_of("x"), None)
        assert str(tmp_path) not in f"{raised.value} {raised.value.hint}"
        assert str(tmp_path) in str(raised.value.__cause__)


def test_a_file_that_goes_while_it_is_looked_at_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the folder and that at the file `eventd token drop` may come."""
    rules = gate(tmp_path, agents={"bob": BOB})
    monkeypatch.setattr(TokenFolder, "agents", lambda self: {"eve"})
    assert enter(rules, "eve", "x") == "the token is not one of agent 'eve'"
    assert enter(rules, "eve", uid=1000) == "agent 'eve' has to show its token"


def test_who_lacks_a_token_is_told_from_who_shows_a_wrong_one(tmp_path: Path) -> None:
    """The first may not have known; the second, and another user, tried to be somebody else."""
    rules = gate(tmp_path)

    def lacks(agent: str, digest: str | None, uid: int) -> bool:
        with pytest.raises(NotAdmitted) as raised:
            rules.admit(agent, digest, Process(uid))
        return raised.value.lacks_token

    assert lacks("alice", None, 5)
    assert lacks("nobody", None, 5)
    assert not lacks("alice", digest_of("x"), 5)
    assert not lacks("nobody", digest_of("x"), 5)
    assert not lacks("bob", None, 5)


def test_names_do_not_fill_the_memory(tmp_path: Path) -> None:
    """Where anybody may take any name: an identity is kept as long as its client is here."""
    opened = gate(tmp_path, agents={})
    here = enter(opened, "here")
    for number in range(1000):
        enter(opened, f"agent-{number}")
    assert len(opened._identities) == 1
    assert enter(opened, "here") is here


def test_threads_make_one_identity_of_a_name(tmp_path: Path) -> None:
    """Two hellos at once must not be taken for two kinds of rights: one of them would be dismissed."""
    opened = gate(tmp_path, agents={})
    with ThreadPoolExecutor(8) as threads:
        for number in range(200):
            made = list(threads.map(partial(enter, opened), [f"agent-{number}"] * 8))
            assert len({id(identity) for identity in made}) == 1


def test_the_same_rights_are_the_same_identity(tmp_path: Path) -> None:
    """So what was decided for one connection holds for the next, and a change can be told."""
    rules = gate(tmp_path)
    assert enter(rules, "alice", "s3cret") is enter(rules, "alice", "s3cret")
    assert enter(rules, "alice", "s3cret") is not enter(rules, "bob", uid=1000)


def test_tokens_that_got_lost_are_no_reason_to_do_without(tmp_path: Path) -> None:
    """Somebody who removes the folder does not open the socket; administrators still come in to mend it."""
    opened = gate(tmp_path, agents={})
    tokens = TokenFolder(token_folder(tmp_path))
    tokens.make("eve")
    shutil.rmtree(tokens.path)
    assert "nobody can be let in" in str(enter(opened, "eve"))
    assert proof(opened, "eve", admin_token_file(tmp_path).read_text().strip()) == Proof.ADMIN
    token = tokens.make("eve")
    assert proof(opened, "eve", token) == Proof.TOKEN
    tokens.drop("eve")
    assert proof(opened, "eve") == Proof.OPEN


def test_other_rules_hold_at_once(tmp_path: Path) -> None:
    """Who has the same rights is the same as before; who has others is somebody else to the server."""
    door = gate(tmp_path)
    alice, bob = enter(door, "alice", "s3cret"), enter(door, "bob", uid=1000)
    changes = door.changes
    less = AgentAccess(token=Secret("s3cret"), can_read=frozenset({"bob"}))
    door.configure(AccessSettings(agents={"alice": less, "bob": BOB}))
    assert door.changes == changes + 1
    again = enter(door, "alice", "s3cret")
    assert isinstance(again, Identity)
    assert again is not alice
    assert not again.may_write_as("bob")
    assert enter(door, "bob", uid=1000) is bob
    door.configure(AccessSettings(agents={"alice": AgentAccess(token=Secret("another"))}))
    assert proof(door, "alice", "s3cret") is proof(door, "bob", uid=1000) is None
    door.configure(AccessSettings())
    assert proof(door, "alice") == Proof.OPEN


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        ({}, {}, True),
        ({"grants": {"a": frozenset("bc")}}, {"grants": {"a": frozenset("b")}}, True),
        ({"grants": {"a": frozenset("c")}}, {"grants": {"a": frozenset("b")}}, False),
        ({}, {"grants": {"a": frozenset("b")}}, False),
        ({"admin": True}, {}, True),
        ({}, {"admin": True}, False),
    ],
)
def test_which_rights_cover_which(now: dict[str, object], before: dict[str, object], expected: bool) -> None:
    def identity(rights: dict[str, object]) -> Identity:
        return Identity("a", **{"admin": False, "proof": Proof.TOKEN, **rights})  # type: ignore[arg-type]

    assert identity(now).covers(identity(before)) is expected
