"""Who may read what."""

import pytest

from eventd.access import EVERYBODY, memory_of, readable, scope_of
from eventd.events.normal import VISIBILITIES
from eventd.index.model import Scope

NOT_PUBLIC = [name for name in VISIBILITIES if name != "public"]


@pytest.mark.parametrize("visibility", VISIBILITIES)
def test_everybody_reads_their_own(visibility: str) -> None:
    """Whatever its visibility, the secret ones too."""
    assert readable("alice", "alice", visibility)


@pytest.mark.parametrize("visibility", NOT_PUBLIC)
def test_nobody_reads_what_is_not_public_of_others(visibility: str) -> None:
    assert not readable("bob", "alice", visibility)
    assert not readable("", "alice", visibility)


def test_public_events_are_for_all() -> None:
    assert readable("bob", "alice", "public")


@pytest.mark.parametrize("visibility", VISIBILITIES)
@pytest.mark.parametrize("reader", ["alice", ""])
def test_what_is_nobodys_is_the_operators(reader: str, visibility: str) -> None:
    """Not even somebody without a name reads it as their own."""
    assert not readable(reader, "", visibility)
    assert readable(None, "", visibility)


@pytest.mark.parametrize("visibility", [*VISIBILITIES, "unknown"])
def test_the_operator_reads_everything(visibility: str) -> None:
    assert readable(None, "alice", visibility)


def test_a_visibility_that_nobody_knows_is_not_public() -> None:
    assert not readable("bob", "alice", "Public")
    assert not readable("bob", "alice", "")


def test_scopes() -> None:
    """Without a name: all that hello's agent may read; a name: the events of that agent; `*`: all."""
    assert scope_of("me", None) == Scope(reader="me")
    assert scope_of("me", "other") == Scope(author="other")
    assert scope_of("me", EVERYBODY) == Scope()
    assert memory_of("me", None) == Scope(reader="me")
    assert memory_of("me", "other") == Scope(reader="other")
    assert memory_of("me", EVERYBODY) == Scope()
