"""Which events count, and what was said in them, each thing once."""

from context.stories import MAIN, NEW, Writer
from context.support import DAY, HOUR, START, Json, MemorySource
from eventd.config.settings import ContextSettings
from eventd.context import reading
from eventd.context.reading import Past, read, said, stripped
from eventd.context.request import ContextRequest


def past(
    events: list[Json], session: str = NEW, query: str | None = None, settings: ContextSettings | None = None
) -> Past:
    return read(MemorySource(events), ContextRequest("main", session, query), settings or ContextSettings())


def texts(events: list[Json]) -> list[str]:
    return [message.text for message in past(events).messages]


def test_only_the_last_state_of_a_growing_answer_counts() -> None:
    """Long runs of states are sampled, not read; a run may still hold several answers."""
    w = Writer()
    full = "The quick brown fox jumps over the lazy dog, twice."
    for size in range(1, len(full) + 1):
        w.answer(full[:size], 1)
    w.answer("And now something else.", 1)
    source = MemorySource(w.events)
    found = read(source, ContextRequest("main", NEW), ContextSettings())
    assert [message.text for message in found.messages] == [full, "And now something else."]
    assert len(source.read) < 10
    assert found.left_out["superseded"] == len(full) - 1


def test_answers_that_only_get_longer_are_not_states_of_one() -> None:
    """The samples tell."""
    w = Writer()
    answers = [f"{'word ' * number}{number}" for number in range(1, 12)]
    for answer in answers:
        w.answer(answer, 1)
    assert texts(w.events) == answers


def test_states_of_different_runs_do_not_supersede_each_other() -> None:
    """Nor do those of a run whose writer gives none, when they are far apart."""
    w = Writer()
    w.run = "a"
    w.answer("Yes")
    w.run = "b"
    w.answer("Yes, it is.")
    w.run = ""
    w.answer("No", HOUR)
    w.answer("No, it is not.", HOUR)
    assert texts(w.events) == ["Yes", "Yes, it is.", "No", "No, it is not."]


def test_a_text_that_was_stored_twice_was_said_once() -> None:
    """By id, by a retry, by a second writer; but `ok` may be said again."""
    w = Writer()
    first = w.ask("Please send the offer to Initech today.")
    w.events += [first, {**first, "id": "retry", "timestamp": first["timestamp"] + 500}]
    w.events.append(
        {**first, "id": "other writer", "session": "agent:main:x", "timestamp": first["timestamp"] + 9}
    )
    w.answer("ok")
    w.ask("And call them.")
    w.answer("ok")
    assert texts(w.events) == ["Please send the offer to Initech today.", "ok", "And call them.", "ok"]


def test_a_repeated_answer_does_not_hide_what_comes_next() -> None:
    """An answer that begins with the words of the question is no later state of it."""
    w = Writer()
    w.ask("Say it.")
    answer = w.answer("Fine, it is said.")
    w.events.append({**answer, "id": "again", "timestamp": answer["timestamp"] + 1})
    w.event("conversation.message.in", {"text": "Fine"})
    w.answer("Fine, then.")
    assert texts(w.events) == ["Say it.", "Fine, it is said.", "Fine", "Fine, then."]


def test_what_programs_wrap_around_is_taken_off() -> None:
    """Heartbeats, channel data, and blocks of ours: these must not grow from session to session."""
    assert stripped("Fine.\n\nHEARTBEAT_OK") == "Fine."
    assert stripped('Conversation info (untrusted metadata):\n```json\n{"a": 1}\n```\n\nhello') == "hello"
    assert stripped('<eventd-memory agent="main">\nold things\n</eventd-memory>\nhello') == "hello"
    assert stripped('hello <eventd-memory agent="main">\ncut off') == "hello"


def test_a_clock_that_is_ahead_does_not_empty_the_window() -> None:
    """A time cannot be later than when the event was stored."""
    source = MemorySource(Writer().talk("one?", "two.").events)
    ahead = Writer(time=START + 900 * DAY).ask("from the future")
    source.add(ahead, stored=START + HOUR)
    found = read(source, ContextRequest("main", NEW), ContextSettings())
    assert found.as_of == START + HOUR
    assert [message.text for message in found.messages] == ["one?", "two.", "from the future"]


def test_the_window_counts_back_from_the_newest_event() -> None:
    """Not from now: an agent that rested for a month still has its last day."""
    w = Writer()
    w.talk("old?", "old.").talk("new?", "new.", pause=30 * HOUR)
    found = past(w.events, settings=ContextSettings(look_back=86_400, earlier=0))
    assert [message.text for message in found.messages] == ["new?", "new."]
    assert found.recent == 2


def test_conversation_is_found_behind_many_tool_events() -> None:
    """An agent that works all night with tools did not forget the evening."""
    w = Writer()
    w.talk("Please run the long migration tonight.", "I start it now.")
    for number in range(80):
        w.call("shell", {"n": number}, f"c{number}")
        w.result("shell", "ok", f"c{number}")
    found = past(w.events, settings=ContextSettings(max_events=100))
    assert [message.text for message in found.messages] == [
        "Please run the long migration tonight.",
        "I start it now.",
    ]
    assert (found.recent, found.full) == (100, True)


def test_the_calling_sessions_own_start_and_request_do_not_count() -> None:
    """Whether they are stored yet or not."""
    w = Writer().talk("one?", "two.")
    new = Writer(NEW, w.time)
    new.start()
    new.ask("what now?")
    before = past(w.events, NEW, "what now?")
    after = past(w.events + new.events, NEW, "what now?")
    assert (after.as_of, after.recent, after.marks) == (before.as_of, before.recent, before.marks)
    other = past(w.events + new.events, MAIN)
    assert other.recent == 4


def test_bodies_that_are_read_are_bounded() -> None:
    """The newest is read however large it is, older ones as far as the room goes."""
    w = Writer()
    w.ask("a" * reading.MAX_BYTES)
    w.answer("b" * reading.MAX_BYTES)
    w.ask("c")
    found = past(w.events)
    assert [message.text[0] for message in found.messages] == ["c"]
    assert found.left_out["too_much"] == 2


def test_odd_bodies_are_read_as_far_as_they_go() -> None:
    """Reading never fails."""
    assert said(b'{"type":"msg.in","payload":{"content":[{"text":"a"},{"text":"b"}]}}') == "a\nb"
    assert said(b'{"type":"msg.in","payload":{"data":"x","content":"y"}}') == "y"
    assert said(b'{"type":"msg.in","payload":{"data":{"text":7}}}') == ""
    assert said(b"[1]") == said(b"nonsense") == said(b"") == ""


def test_a_session_that_only_ever_began_hides_nothing() -> None:
    """An agent that is started again and again before it says anything remembers all the same."""
    w = Writer()
    w.ask("Please remember the milk.")
    w.session = NEW
    for _ in range(300):
        w.start()
    found = past(w.events)
    assert [message.text for message in found.messages] == ["Please remember the milk."]
    assert (found.recent, found.left_out["own_start"]) == (1, 300)


def test_a_long_gap_is_read_in_one_go() -> None:
    """Going back and forth in it would take minutes; the test would not end."""
    assert stripped("NO_REPLY and" + " " * 200_000 + "more") == "and" + " " * 200_000 + "more"
