"""What was begun and not finished, and what is not brought up again."""

from context.stories import MAIN, NEW, Writer
from context.support import HOUR, MemorySource
from eventd.config.settings import ContextSettings
from eventd.context.reading import read
from eventd.context.request import ContextRequest
from eventd.context.unfinished import unfinished


def found(*writers: Writer, session: str | None = NEW) -> list[tuple[str, ...]]:
    source = MemorySource([event for writer in writers for event in writer.events])
    past = read(source, ContextRequest("main", session), ContextSettings())
    return [(item.kind, *item.remarks) for item in unfinished(past, session)]


def test_a_message_without_an_answer() -> None:
    """Also two in a row; an answer counts for all before it."""
    w = Writer()
    w.talk("one", "answer")
    w.ask("two")
    w.ask("three")
    assert found(w) == [("message",), ("message",)]
    w.answer("both")
    assert found(w) == []


def test_a_heartbeat_wants_no_answer_and_silence_is_one() -> None:
    """`NO_REPLY` is what an agent says when there is nothing to say."""
    w = Writer()
    w.ask("Read HEARTBEAT.md if it exists (workspace context).")
    assert found(w) == []
    w.ask("fyi: I am back")
    w.answer("NO_REPLY")
    assert found(w) == []


def test_a_run_that_ended_without_words_has_ended() -> None:
    """Some writers store no answers; an end is enough."""
    w = Writer()
    w.start()
    w.ask("tidy up")
    w.end()
    assert found(w) == []


def test_a_tool_call_without_a_result() -> None:
    """With ids, and without them: then calls and results of the run are counted."""
    w = Writer()
    w.call("a", {}, "c1")
    w.result("a", "x", "c1")
    w.call("b", {}, "c2")
    assert found(w) == [("tool call",)]
    v = Writer()
    v.call("a", {}, None)
    v.result("a", "x", None)
    v.call("b", {}, None)
    assert found(v) == [("tool call",)]


def test_an_answer_closes_calls_whose_result_was_not_stored() -> None:
    """The agent went on, so it knew."""
    w = Writer()
    w.call("a", {}, "c1")
    w.answer("done")
    assert found(w) == []


def test_a_run_without_an_end() -> None:
    """Told by itself, or as a remark to what was open in it."""
    w = Writer()
    w.start()
    assert found(w) == [("run",)]
    w.event("conversation.message.in", {"text": "x"})
    assert found(w) == [("message", "its run has no end")]


def test_a_run_that_failed() -> None:
    """An error is no answer."""
    w = Writer()
    w.start()
    w.event("lifecycle.error", {"phase": "error", "error": "boom"})
    assert found(w) == [("failed run",)]
    w.event("conversation.message.in", {"text": "again?"})
    assert found(w) == [("message", "its run failed")]


def test_old_crashes_are_not_brought_up_again() -> None:
    """Once the session went on, its earlier troubles are history."""
    w = Writer()
    w.start()
    w.ask("one")
    w.call("a", {}, "c1")
    w.run = "later"
    w.start()
    w.talk("two", "answer")
    w.end()
    assert found(w) == []


def test_a_writer_that_stores_no_ends_has_no_open_runs() -> None:
    """Three runs that were answered and have no end show a habit."""
    writers = []
    for number in range(3):
        w = Writer(f"agent:main:s{number}")
        w.run = f"r{number}"
        w.start()
        w.event("conversation.message.out", {"text": f"answer {number}"})
        writers.append(w)
    assert found(*writers) == []


def test_what_the_calling_session_does_right_now_is_not_open() -> None:
    """But what it left open before its own start is."""
    w = Writer(MAIN)
    w.start()
    w.ask("one")
    w.call("a", {}, "c1")
    assert found(w, session=MAIN) == []
    w.time += HOUR
    w.run = "next"
    w.start()
    assert ("message", "its run has no end") in found(w, session=MAIN) or ("message",) in found(
        w, session=MAIN
    )
    before = found(w, session=MAIN)
    w.ask("two")
    w.call("b", {}, "c2")
    assert found(w, session=MAIN) == before
