"""Earlier conversation: stretches, and the sentences that tell most of them."""

from context.stories import NEW, Writer
from context.support import HOUR, MINUTE, MemorySource
from eventd.config.settings import ContextSettings
from eventd.context.digest import Stretch, sentences, stretches, weigh
from eventd.context.reading import read
from eventd.context.request import ContextRequest


def digest(*writers: Writer) -> list[Stretch]:
    source = MemorySource([event for writer in writers for event in writer.events])
    found = stretches(read(source, ContextRequest("main", NEW), ContextSettings()).messages, 10)
    for stretch in found:
        weigh(stretch)
    return found


def test_a_pause_divides_a_session() -> None:
    """Main sessions never end; what was said yesterday is another conversation."""
    w = Writer()
    w.talk("one?", "one.", pause=MINUTE).talk("two?", "two.", pause=2 * HOUR)
    assert [len(stretch.messages) for stretch in digest(w)] == [2, 2]


def test_sessions_at_the_same_time_are_apart() -> None:
    """Interleaved messages do not mix."""
    a, b = Writer("agent:main:a"), Writer("agent:main:b")
    a.talk("a?", "a.", "aa?", "aa.")
    b.talk("b?", "b.", "bb?", "bb.")
    assert [stretch.session for stretch in digest(a, b)] == ["agent:main:b", "agent:main:a"]


def test_request_and_outcome_are_found() -> None:
    """Not the greeting, not the offer to help, not the announcement."""
    w = Writer()
    w.talk(
        "Hi! Can you find out why the nightly backup fails? Thanks in advance.",
        "Sure! Let me look into it.",
        "any news?",
        "Found it: the disk of nas2 is full since 3 November. Shall I rotate the old backups?",
        "yes please",
        "Done. Backups are kept for 14 days now, and last night's run passed. Anything else?",
    )
    (stretch,) = digest(w)
    assert stretch.about is not None
    assert stretch.about.asked == "Can you find out why the nightly backup fails?"
    assert stretch.outcome is not None
    assert stretch.outcome.answered == (
        "Done. Backups are kept for 14 days now, and last night's run passed."
    )


def test_code_and_list_marks_are_no_sentences() -> None:
    """Versions and file names do not end one."""
    text = "Use 3.12 in auth.py.\n```\nx = 1. y\n```\n- first point\n2. second point!\n数据库。好"
    assert sentences(text) == ["Use 3.12 in auth.py.", "first point", "second point!", "数据库。", "好"]
