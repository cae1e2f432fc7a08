"""Subjects: which token a name becomes, where the agent's token is left out, and the way back."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.subjects import agent_of, agent_prefix, decode_token, encode_token, subject_of

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=24)
PLAIN = set(string.ascii_letters + string.digits + "_-")


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("main", "main"),
        ("my-agent_2", "my-agent_2"),
        ("a.b", "a%2Eb"),
        ("*", "%2A"),
        (">", "%3E"),
        ("100%", "100%25"),
        ("My Agent", "My%20Agent"),
        ("Zoë", "Zo%C3%AB"),
        ("记", "%E8%AE%B0"),
    ],
)
def test_a_name_becomes_one_token(name: str, token: str) -> None:
    """Every byte outside [A-Za-z0-9_-] is written %XX with capital digits."""
    assert encode_token(name) == token
    assert decode_token(token) == name


@given(NAMES)
def test_every_name_is_one_plain_token_and_can_be_read_back(name: str) -> None:
    """No name can break out of its token: no dot, no wildcard, no space, no control character."""
    token = encode_token(name)
    assert set(token) <= PLAIN | {"%"}
    assert decode_token(token) == name


def test_an_empty_name_has_no_token() -> None:
    """A subject has no empty tokens."""
    with pytest.raises(ValueError, match="empty"):
        encode_token("")


@pytest.mark.parametrize("token", ["", "%", "%4", "%GG", "a.b", "a b", "%c3%ab", "%41", "%FF", "*", "%41%"])
def test_what_encoding_never_makes_is_not_decoded(token: str) -> None:
    """One name has one token: other spellings of it are refused, as is what is no UTF-8."""
    with pytest.raises(ValueError):
        decode_token(token)


@pytest.mark.parametrize(
    ("prefix", "agent", "event_type", "subject"),
    [
        (
            "openclaw.events",
            "main",
            "conversation.message.out",
            "openclaw.events.main.conversation_message_out",
        ),
        ("openclaw.events", "main", "conversation.tool_call", "openclaw.events.main.conversation_tool_call"),
        ("openclaw.events", "a.b", "lifecycle.start", "openclaw.events.a%2Eb.lifecycle_start"),
        # Left out only where the prefix's last token is that very agent.
        ("openclaw.events.main", "main", "lifecycle.start", "openclaw.events.main.lifecycle_start"),
        ("openclaw.events.main", "other", "lifecycle.start", "openclaw.events.main.other.lifecycle_start"),
        ("openclaw.main.events", "main", "lifecycle.start", "openclaw.main.events.main.lifecycle_start"),
        ("openclaw.a%2Eb", "a.b", "lifecycle.start", "openclaw.a%2Eb.lifecycle_start"),
        ("openclaw.a.b", "a.b", "lifecycle.start", "openclaw.a.b.a%2Eb.lifecycle_start"),
        ("openclaw.domain", "main", "lifecycle.start", "openclaw.domain.main.lifecycle_start"),
        ("main", "main", "custom", "main.custom"),
    ],
)
def test_subject(prefix: str, agent: str, event_type: str, subject: str) -> None:
    """`{prefix}.{agent}.{type}`, and the agent that it belongs to is found again."""
    assert subject_of(prefix, agent, event_type) == subject
    assert subject.startswith(agent_prefix(prefix, agent) + ".")
    assert agent_of(prefix, subject) == agent


@given(agent=NAMES, last=NAMES)
def test_agents_never_share_a_subject(agent: str, last: str) -> None:
    """Whatever the prefix ends in, the agent is read back as it was."""
    prefix = f"events.{encode_token(last)}"
    assert agent_of(prefix, subject_of(prefix, agent, "memory.note")) == agent


@pytest.mark.parametrize(
    "subject",
    [
        "openclaw.events",
        "openclaw.eventsmain.x",
        "other.main.x",
        "openclaw.events.a.b.c",
        "openclaw.events.%2.x",
    ],
)
def test_foreign_subjects_belong_to_no_agent(subject: str) -> None:
    """What `subject_of` does not make names nobody."""
    assert agent_of("openclaw.events", subject) is None
