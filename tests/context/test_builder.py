"""The block as a whole: its size, its bytes, its frame, and each fault of the older implementations."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from context.stories import HOSTILE, MAIN, NEW, STORIES, Story, Writer, normal
from context.support import DAY, HOUR, MINUTE, START, Json, MemorySource
from eventd.config.settings import ContextSettings
from eventd.context.block import TITLES, Block
from eventd.context.builder import NOTICE, SHORT_NOTICE, build
from eventd.context.request import ContextRequest
from eventd.index.model import Entry, Hit

FOLDER = Path(__file__).parents[1]

OURS = re.compile(
    r"<eventd-memory(?: agent=\"[\w:.@/+*~-]+\")?(?: as-of=\"[\dT:Z-]+\")?>|</eventd-memory>|"
    + "|".join(map(re.escape, (NOTICE, SHORT_NOTICE)))
    + r"|## (?:" + "|".join(TITLES.values()) + r")|### \d{4}-\d\d-\d\d(?: [\w:.@/+*~-]+)?"
    r"|(?:Newest )?\d+ events?(?: with \d+ messages? in \d+ sessions?)?, [\d :–-]+\."
    r"|Topics \(messages\): .+\."
    r"|\d\d:\d\d (?:user|assistant|tool call|tool result)(?:, \d+ times)?"
    r"|- \d{4}-\d\d-\d\d[^“”]*(?:: “[^“”]*”|:)?"
    r"|  (?:(?:asked|answered|concluded|summary) “[^“”]*”(?:, )?)+|> .*|"
)  # fmt: skip
"""Every line that a block may have."""


def made(story: Story) -> Block:
    return build(story.source(), story.request, story.settings)


def block(events: list[Json], session: str = NEW, query: str | None = None, **given_settings: Any) -> Block:
    request = ContextRequest("main", session, query)
    return build(MemorySource(events), request, ContextSettings(**given_settings))


def items(made_block: Block, name: str) -> list[dict[str, Any]]:
    return [
        item
        for section in made_block.document["sections"]
        if section["name"] == name
        for item in section["items"]
    ]


def check(made_block: Block, budget: int) -> None:
    """What is true of every block."""
    text = made_block.text
    assert len(text) <= budget
    assert made_block.document["size"] == len(text)
    text.encode()
    for line in text.split("\n"):
        assert OURS.fullmatch(line), line
    assert text.count("eventd-memory>") <= 2
    if text:
        assert text.startswith("<eventd-memory")
        assert text.endswith("\n</eventd-memory>\n")
    total = sum(section["size"] for section in made_block.document["sections"])
    assert total <= len(text)
    for section in made_block.document["sections"]:
        assert (
            sum(item["chars"] for item in section["items"]) + len(f"\n## {section['title']}\n")
            == section["size"]
        )
        assert all(item["why"] for item in section["items"])
    assert msgspec.json.decode(msgspec.json.encode(made_block.document)) == made_block.document


@pytest.mark.parametrize("budget", [0, 100, 200, 300, 500, 1000, 2000, 4000, 8000, 50_000])
@pytest.mark.parametrize("name", STORIES)
def test_a_block_keeps_to_its_budget_and_its_form(name: str, budget: int) -> None:
    """Every line is ours or has our mark, whatever was stored."""
    story = STORIES[name]()
    story.settings = ContextSettings(budget=budget, tools=story.settings.tools)
    check(made(story), budget)


def test_a_small_budget_still_says_something() -> None:
    """200 characters are enough for the newest message."""
    story = normal()
    story.settings = ContextSettings(budget=200)
    assert "> Is the nightly backup" in made(story).text


pieces = st.sampled_from(
    [*HOSTILE, "short", "A sentence. Another one? Yes!", "数据库。", "x" * 3000, "\n" * 50, ""]
)
words = st.lists(pieces | st.text(max_size=30), max_size=4).map(" ".join)
kinds = st.sampled_from(
    ["conversation.message.in", "conversation.message.out", "conversation.tool_call",
     "conversation.tool_result", "lifecycle.start", "lifecycle.end", "lifecycle.error", "memory.fact",
     "memory.pending", "memory.resolved", "migration.fact", "session.compaction_end", "custom.thing",
     "msg.in", "msg.out"]
)  # fmt: skip
data = st.fixed_dictionaries(
    {"text": words},
    optional={
        "name": words, "toolCallId": words, "args": words, "result": words, "subject": words, "due": words,
        "fact": words, "summary": words, "error": words, "status": words,
        "supersedes": st.lists(words, max_size=2),
    },
)  # fmt: skip
events_of = st.lists(
    st.fixed_dictionaries(
        {
            "type": kinds,
            "session": st.sampled_from([MAIN, NEW, "", "x"]) | words,
            "timestamp": st.integers(START - 3 * DAY, START) | st.integers(1, 2**53 - 1),
            "agent": st.sampled_from(["main", "main", "main", "other"]),
            "visibility": st.sampled_from(["internal", "public", "secret"]),
            "payload": st.fixed_dictionaries({"data": data, "runId": st.sampled_from(["", "r1", "r2"])}),
        },
        optional={"id": st.text(max_size=8)},
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(events_of, st.integers(0, 3000), words, st.booleans(), st.randoms())
def test_any_events_make_a_block_of_the_right_form(
    events: list[Json], budget: int, query: str, tools: bool, order: random.Random
) -> None:
    """Never raises, keeps to the budget, every line is ours; the order of keys in maps changes nothing."""
    source = MemorySource([json.dumps(event).encode("utf-8", "surrogatepass") for event in events])
    request = ContextRequest("main", NEW, query or None)
    given_settings = ContextSettings(budget=budget, tools=tools)
    found = build(source, request, given_settings)
    check(found, budget)
    again = MemorySource([json.dumps(shuffled(event, order)).encode() for event in events])
    assert build(again, request, given_settings) == found


def shuffled(value: Any, order: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    keys = list(value)
    order.shuffle(keys)
    return {key: shuffled(value[key], order) for key in keys}


def test_other_processes_make_the_same_bytes() -> None:
    """Hash seeds and clocks do not matter: caches of prompts hold."""
    script = (
        "from context.stories import STORIES\n"
        "from eventd.context.builder import build\n"
        "import sys\n"
        "for make in STORIES.values():\n"
        "    s = make()\n"
        "    sys.stdout.buffer.write(build(s.source(), s.request, s.settings).text.encode())\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(FOLDER), "TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo"), ("4711", "America/New_York"))
    }
    assert len(outputs) == 1


def test_the_start_of_the_calling_session_changes_nothing() -> None:
    """The same block before and after its start and its first message are stored."""
    w = Writer().talk("What is the plan?", "We ship on Friday.")
    new = Writer(NEW, w.time)
    query = "And who tests it?"
    before = block(w.events, NEW, query)
    new.start()
    started = block(w.events + new.events, NEW, query)
    new.ask(query)
    asked = block(w.events + new.events, NEW, query)
    assert before.text == started.text == asked.text
    assert asked.document["left_out"]["own_start"] == 2
    assert NEW not in asked.text


def test_an_empty_store_gives_an_empty_text() -> None:
    """There is nothing to say, so nothing is said."""
    found = block([])
    assert found.text == ""
    assert (found.document["events"], found.document["asOf"], found.document["sections"]) == (0, None, [])


def test_frame_says_what_the_block_is_and_of_when() -> None:
    """Time frame, number of events, topics: what the document asks for."""
    w = Writer().talk("Where is the Kubernetes manual?", "The Kubernetes manual is on the shelf.")
    lines = block(w.events).text.splitlines()
    assert lines[0] == '<eventd-memory agent="main" as-of="2026-11-22T19:02Z">'
    assert lines[1] == NOTICE
    assert lines[2:4] == [
        "2 events with 2 messages in 1 session, 2026-11-22 19:01–19:02.",
        "Topics (messages): “Kubernetes manual” (2).",
    ]


# The faults of the older implementations, each with what is done instead.


def test_more_than_five_messages_of_a_hundred_characters() -> None:
    """Fault 5: 5 messages of 100 characters. Here each gets what it needs, as far as the budget goes."""
    w = Writer()
    for number in range(10):
        w.talk(
            f"Question {number}: " + "why is that so and what follows? " * 5,
            f"Answer {number}: " + "because. " * 20,
        )
    found = block(w.events)
    assert len(items(found, "recent")) == 20
    assert not any(item["cut"] for item in items(found, "recent"))


def test_short_messages_leave_their_room_to_long_ones() -> None:
    """Nobody is cut at a fixed length."""
    w = Writer().talk("Tell me all about it.", "word " * 1200, "ok", "fine")
    long = max(items(block(w.events), "recent"), key=lambda item: int(item["chars"]))
    assert long["chars"] > 5000


def test_earlier_conversation_is_told_and_not_counted() -> None:
    """Fault 5: the earlier conversation is only a count."""
    w = Writer(time=START - 2 * DAY)
    w.talk("Which colour did we choose for the door?", "We decided on RAL 5002, ultramarine blue.")
    w.talk("Hello again!", "Hello.", pause=2 * DAY)
    (digest,) = items(block(w.events), "earlier")
    assert "Which colour did we choose for the door?" in digest["text"]
    assert "We decided on RAL 5002, ultramarine blue." in digest["text"]


def test_facts_and_pending_items_are_no_stubs() -> None:
    """Fault 5: `facts` and `pendingItems` are empty."""
    found = made(STORIES["facts"]())
    assert [item["text"] for item in items(found, "facts")] == [
        "We use Postgres 18 for all new services.", "The office key is with Lena.", "The standup is at 9:30.",
        "Anna lives in Lübeck.", "Anna works at Initech.",
    ]  # fmt: skip
    assert [item["text"] for item in items(found, "pending")] == [
        "Ask Tom for the parking card.", "Renew the certificate of the shop.",
    ]  # fmt: skip


def test_user_messages_are_there() -> None:
    """Fault 5: user messages are never seen. The document's `message.out` holds those of people, too."""
    w = Writer()
    w.event("conversation.message.out", {"role": "user", "text": "I am a person."})
    (item,) = items(block(w.events), "recent")
    assert (item["kind"], item["text"]) == ("user", "I am a person.")


def test_settings_are_kept_when_reading() -> None:
    """Fault 5: settings are ignored when reading. Hours, events, messages, tools and limits all count."""
    w = Writer().talk("old one?", "old one.").talk("new one?", "new one.", pause=3 * HOUR)
    assert block(w.events, look_back=3600).document["events"] == 2
    assert block(w.events, look_back=3600, earlier=3600).document["sections"][0]["name"] == "recent"
    assert block(w.events, max_events=3).document["events"] == 3
    assert len(items(block(w.events, max_messages=1), "recent")) == 1
    assert not items(block(w.events, max_messages=0), "recent")
    assert made(STORIES["tools-on"]()).document["left_out"].get("tools") is None
    assert "183G" in made(STORIES["tools-on"]()).text
    assert "183G" not in made(STORIES["tools-off"]()).text


def test_bodies_are_read_in_two_or_three_queries_and_not_one_by_one() -> None:
    """Fault 2: up to 1000 messages are read in as many requests."""

    class Counting(MemorySource):
        asked = 0

        def bodies(self, numbers: Any) -> Any:
            self.asked += 1
            return super().bodies(numbers)

    w = Writer()
    for number in range(100):
        w.talk(f"question {number}?", f"answer {number}.")
    source = Counting(w.events)
    build(source, ContextRequest("main", NEW, "what?"), ContextSettings())
    assert source.asked <= 3
    assert len(source.read) == len(set(source.read))


# Scope.


def test_nothing_of_others_gets_in_even_if_the_index_fails_to_keep_it_out() -> None:
    """Not by facts, not by recall; what is public says whose it is."""

    class Leaking(MemorySource):
        def memories(self, agent: str, *, others: bool, limit: int) -> list[Entry]:
            return [entry for entry in self.entries if entry.type.startswith("memory.")]

        def notes(self, agent: str, *, limit: int) -> list[Entry]:
            return [entry for entry in self.entries if entry.type.startswith("migration.")]

        def recall(self, query: str, agent: str, *, limit: int) -> list[Hit]:
            return [Hit(entry, 1.0) for entry in self.entries]

    w = Writer().talk("hello?", "hello.")
    for visibility in ("internal", "confidential", "secret", "public"):
        other = Writer(agent="office")
        other.fact(f"a {visibility} fact", visibility=visibility)
        other.event("conversation.message.out", {"text": f"a {visibility} word"}, visibility=visibility)
        w.events += other.events
    found = build(Leaking(w.events), ContextRequest("main", NEW, "anything"), ContextSettings())
    assert "a public fact" in found.text
    assert "a public word" in found.text
    assert found.text.count("agent office") == 2
    for visibility in ("internal", "confidential", "secret"):
        assert f"a {visibility}" not in found.text
    assert found.document["left_out"]["out_of_scope"] > 0


def test_recalled_passages_are_not_repeated() -> None:
    """Neither what the recent part shows, nor the query, nor what programs saw of prompts."""
    old = Writer("agent:main:old", START - 50 * DAY).talk("The boiler shows code F28.", "F28 means: no gas.")
    now = Writer().talk("The boiler shows code F75.", "F75 means: low pressure.")
    now.event("llm.input", {"prompt": "boiler shows code boiler shows code"})
    query = "the boiler shows code F28 again"
    now.ask(query)
    found = block(old.events + now.events, NEW, query)
    assert [item["text"] for item in items(found, "recalled")] == ["The boiler shows code F28."]
    (item,) = items(found, "recalled")
    assert (item["session"], item["time"]) == ("agent:main:old", START - 50 * DAY + MINUTE)
    assert "score" in item["why"]


def test_an_own_block_that_was_stored_does_not_come_back() -> None:
    """Programs store prompts with the block in them; it must not grow from session to session."""
    first = made(normal())
    w = Writer()
    w.ask(first.text + "\nWhat is next?")
    w.answer("We move the shop.")
    second = block(w.events)
    assert [item["text"] for item in items(second, "recent")] == ["What is next?", "We move the shop."]
