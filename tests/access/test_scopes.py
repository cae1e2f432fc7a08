"""Who may read what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.access.identity import Identity, Proof
from eventd.access.scopes import EVERYBODY, Forbidden, memory_of, readable, scope_of
from eventd.events.normal import VISIBILITIES
from eventd.index.model import Scope

NOT_PUBLIC = [name for name in VISIBILITIES if name != "public"]
BOB = frozenset({"bob"})
ALICE = Identity("alice", admin=False, proof=Proof.TOKEN, grants={"alice": BOB})
EVE = Identity("eve", admin=False, proof=Proof.UNLISTED)
ADMIN = Identity("main", admin=True, proof=Proof.ADMIN, grants={"alice": BOB})


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_everybody_reads_their_own(visibility: str) -> None:
    """Whatever its visibility, the secret ones too."""
    assert readable(Scope(reader="alice"), "alice", visibility)


@pytest.mark.parametrize("visibility", NOT_PUBLIC)
def test_nobody_reads_what_is_not_public_of_others(visibility: str) -> None:
    assert not readable(Scope(reader="bob"), "alice", visibility)
    assert not readable(Scope(reader=""), "alice", visibility)


def test_public_events_are_for_all() -> None:
    assert readable(Scope(reader="bob"), "alice", "public")


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_a_grant_opens_internal_events_and_no_others(visibility: str) -> None:
    """Confidential and secret ones never leave their agent; the grant is for one agent, and one way."""
    scope = Scope(reader="alice", granted=BOB)
    assert readable(scope, "bob", visibility) == (visibility in ("public", "internal"))
    assert readable(scope, "eve", visibility) == (visibility == "public")
    assert readable(Scope(reader="bob"), "alice", visibility) == (visibility == "public")


@pytest.mark.parametrize("visibility", VISIBILITIES)
@pytest.mark.parametrize("reader", ["alice", ""])
def test_what_is_nobodys_is_the_administrators(reader: str, visibility: str) -> None:
    """Not even somebody without a name reads it as their own, or by a grant."""
    assert not readable(Scope(reader=reader, granted=frozenset({""})), "", visibility)
    assert readable(Scope(), "", visibility)


@pytest.mark.parametrize("visibility", [*VISIBILITIES, "unknown"])
def test_administrators_read_everything(visibility: str) -> None:
    assert readable(Scope(), "alice", visibility)


def test_a_visibility_that_nobody_knows_is_not_public() -> None:
    assert not readable(Scope(reader="bob"), "alice", "Public")
    assert not readable(Scope(reader="bob", granted=frozenset({"alice"})), "alice", "")


def test_an_administrator_asks_as_anybody() -> None:
    """Without a name: all that hello's agent may read; a name: the events of that agent; `*`: all."""
    assert scope_of(ADMIN, None) == Scope(reader="main")
    assert scope_of(ADMIN, "bob") == Scope(author="bob")
    assert scope_of(ADMIN, EVERYBODY) == Scope()
    assert memory_of(ADMIN, None) == Scope(reader="main")
    assert memory_of(ADMIN, "alice") == Scope(reader="alice", granted=BOB)
    assert memory_of(ADMIN, EVERYBODY) == Scope()


def test_an_agent_asks_as_itself() -> None:
    """Its own events, those that it was granted, and public ones of others where only these are asked for."""
    assert scope_of(ALICE, None) == Scope(reader="alice", granted=BOB)
    assert scope_of(ALICE, "alice") == Scope(author="alice", reader="alice", granted=BOB)
    assert scope_of(ALICE, "bob") == Scope(author="bob", reader="alice", granted=BOB)
    assert scope_of(ALICE, "eve", ["public"]) == Scope(author="eve", reader="alice", granted=BOB)
    assert memory_of(ALICE, None) == memory_of(ALICE, "alice") == Scope(reader="alice", granted=BOB)


@pytest.mark.parametrize("asked", ["eve", EVERYBODY, "Alice", "alice."])
@pytest.mark.parametrize("visibility", [(), ("internal",), ("public", "internal")])
def test_an_agent_that_asks_for_what_is_not_its_own_is_refused(asked: str, visibility: list[str]) -> None:
    """Rather than be given less than it asked for; the hint says what would be allowed."""
    with pytest.raises(Forbidden, match="may not read") as raised:
        scope_of(ALICE, asked, visibility)
    assert "canRead" in raised.value.hint


def test_nobody_asks_for_the_public_events_of_everybody_by_that_name() -> None:
    """`*` is for administrators; without a name others' public events are there anyway."""
    with pytest.raises(Forbidden):
        scope_of(ALICE, EVERYBODY, ["public"])


@pytest.mark.parametrize("asked", ["bob", "eve", EVERYBODY])
def test_the_memory_of_another_agent_is_not_opened_by_a_grant(asked: str) -> None:
    """It holds what is confidential there."""
    with pytest.raises(Forbidden, match="may not remember"):
        memory_of(ALICE, asked)


NAMES = st.sampled_from(["alice", "bob", "eve", "main"])


@given(
    st.sampled_from([ALICE, EVE]),
    st.none() | NAMES | st.just(EVERYBODY),
    st.lists(st.sampled_from(VISIBILITIES), max_size=2),
    NAMES,
    st.sampled_from(VISIBILITIES),
)
def test_no_request_opens_more_than_the_rule(
    identity: Identity, asked: str | None, wanted: list[str], author: str, visibility: str
) -> None:
    """Whatever an agent names in a request, it gets no more than without naming anybody."""
    try:
        scope = scope_of(identity, asked, wanted)
    except Forbidden:
        return
    if readable(scope, author, visibility):
        assert readable(scope_of(identity, None), author, visibility)
