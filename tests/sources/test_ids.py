"""Ids are the same for the same thing, others for others, and such as the protocol takes."""

import pytest

from eventd.sources import ids
from eventd_ipc.strict import MAX_ID

NOW = 1_790_000_000_000
TOOL, SESSION = "claude-code", "5f0c2a4e-8f1d-4f7a-9d1e-2b7c3a9e4d10"


def made(session: str = SESSION, time: int = NOW, text: str = "text") -> list[str]:
    """One of each kind."""
    return [
        ids.call(TOOL, session, "toolu_1"),
        ids.result(TOOL, session, "toolu_1"),
        ids.said_in(TOOL, session, "prompt", text, time),
        ids.said_out(TOOL, session, "prompt", text, time),
        ids.start(TOOL, session, "startup", time),
        ids.compaction_end(TOOL, session, text, time),
        ids.run(TOOL, session, "agent-1", "start"),
        ids.run(TOOL, session, "agent-1", "end", text),
        ids.said_in(TOOL, session, None, text, time),
        ids.start(TOOL, session, "resume", time),
        ids.end(TOOL, session, "other", time),
        ids.compaction_start(TOOL, session, time),
        ids.other(TOOL, session, "notification", text, time),
    ]


TIMELESS = 8  # of these, from the front


def test_each_thing_has_an_id_of_its_own() -> None:
    assert len(set(made())) == len(made())
    assert not set(made()) & set(made(session="another"))
    assert all(one.startswith(f"{TOOL}:{SESSION}:") for one in made())


def test_what_the_tool_names_has_the_same_id_whenever_it_is_seen() -> None:
    """In the hook as it happens, and years later in the transcript."""
    assert made(time=NOW)[:TIMELESS] == made(time=NOW + 10**9)[:TIMELESS]
    assert made(time=NOW)[TIMELESS:] == made(time=NOW + 1)[TIMELESS:]
    assert not set(made(time=NOW)[TIMELESS:]) & set(made(time=NOW + 10**9)[TIMELESS:])


def test_white_space_makes_no_other_text() -> None:
    assert ids.digest(" a\n b\t") == ids.digest("a b")
    assert ids.digest("a b") != ids.digest("ab")


@pytest.mark.parametrize("session", ["", "ä" * 300, "a b\n", "x" * 1000, "\ud800"], ids=range(5))
def test_whatever_a_tool_calls_its_session_the_id_is_sound(session: str) -> None:
    for one in made(session):
        assert 0 < len(one) <= MAX_ID
        assert one.isascii()
        assert one.isprintable()
        assert " " not in one
    assert len(set(made(session))) == len(made(session))
