"""One rule in three places: the index's SQL, its twin in Python, and who may read what."""

import json
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from eventd.config.settings import ContextSettings
from eventd.context.builder import build
from eventd.context.request import ContextRequest
from eventd.events.attribution import Origin
from eventd.events.types import canonical
from eventd.index.model import Filter, NewEvent, Scope
from eventd.index.reads import Reads
from eventd.reading.matching import matches
from eventd.reading.source import IndexSource
from index.support import ALL, S, in_memory, read_stream

AGENTS = ["main", "bob", "agent", ""]
SESSIONS = [
    "",
    "main",
    "agent:main:a",
    "agent:main:b",
    "agent:bob:a",
    "agent:bob:*",
    "agent:bo_:a",
    "é",
    "s" * 2000,
]
TYPES = [
    "msg.in",
    "conversation.message.in",
    "tool.call",
    "memory.fact",
    "memory.x.y",
    "memory",
    "my.type",
    "é.x",
]
VISIBILITIES = ["internal", "public", "confidential", "secret"]


class Written(NamedTuple):
    """What a writer puts into a stream."""

    owner: str
    claimed: str
    session: str
    type: str
    visibility: str | None
    time: int | None
    stored: int
    run: str
    word: str
    by_session: bool


class Seen(NamedTuple):
    """What of it counts."""

    author: str
    session: str
    type: str
    visibility: str
    time: int
    run: str
    word: str


WRITTEN = st.builds(
    Written,
    st.sampled_from(AGENTS),
    st.sampled_from([*AGENTS, ""]),
    st.sampled_from(SESSIONS),
    st.sampled_from(TYPES),
    st.sampled_from([*VISIBILITIES, "odd", None]),
    st.none() | st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from(["", "r", "R", "r" * 400]),
    st.sampled_from(["apple", "pear"]),
    st.booleans(),
)
GRANTED = st.frozensets(st.sampled_from([*AGENTS, "ghost"]), max_size=2)
SOME = st.none() | st.integers(0, 6)
FILTERS = st.builds(
    Filter,
    scope=st.builds(
        Scope,
        st.none() | st.sampled_from([*AGENTS, "ghost"]),
        st.none() | st.sampled_from([*AGENTS, "ghost"]),
        GRANTED,
    ),
    session=st.none()
    | st.sampled_from([*SESSIONS[:-1], "agent:*", "agent:main:*", "*", "agent:bo_*", "é*", "x"]),
    types=st.lists(
        st.sampled_from([*TYPES, "memory.*", "conversation.*", ".*", "no.such", ""]), max_size=3
    ).map(lambda names: tuple(map(canonical, names))),
    visibility=st.lists(st.sampled_from(VISIBILITIES), max_size=2).map(tuple),
    since=SOME,
    until=SOME,
    run=st.none() | st.sampled_from(["", "r", "r" * 400]),
    text=st.none() | st.just("apple"),
)


def may_read(scope: Scope, author: str, visibility: str) -> bool:
    """Who may read what, written down once more, apart from the code."""
    if scope.reader is None:  # an administrator
        return True
    if not author:
        return False
    if author == scope.reader:
        return True
    return visibility == "public" or (visibility == "internal" and author in scope.granted)


def body(event: Written) -> bytes:
    held: dict[str, Any] = {"type": event.type, "payload": {"content": event.word, "runId": event.run}}
    if event.type == "tool.call":
        held["payload"]["params"] = {"x": event.word}
    held |= {"agent": event.claimed, "session": event.session}
    held |= {} if event.visibility is None else {"visibility": event.visibility}
    held |= {} if event.time is None else {"timestamp": event.time}
    return json.dumps(held).encode()


def seen(event: Written) -> Seen:
    named = {"main": "main", "agent:main:a": "main", "agent:main:b": "main"}.get(event.session, "")
    named = "bob" if event.session in ("agent:bob:a", "agent:bob:*") else named
    named = "bo_" if event.session == "agent:bo_:a" else named
    if event.owner and event.by_session and named and event.claimed in ("", event.owner, named):
        author = named
    elif event.owner and event.claimed in ("", event.owner):
        author = event.owner
    else:  # nobody's, or one that claims somebody else's name
        return Seen(event.owner, "", "", "internal", event.stored, "", "")
    visibility = event.visibility if event.visibility in VISIBILITIES else "internal"
    time = event.stored if event.time is None else event.time
    return Seen(author, event.session, canonical(event.type), visibility, time, event.run, event.word)


def is_in(text: str, name: str, wildcard: str) -> bool:
    return text == name or (name.endswith(wildcard) and text.startswith(name[:-1]))


def fits(wanted: Filter, event: Seen) -> bool:
    """What a filter means."""
    session, scope = wanted.session, wanted.scope
    return (
        (scope.author is None or scope.author == event.author)
        and may_read(scope, event.author, event.visibility)
        and (session is None or is_in(event.session, session, "*"))
        and (not wanted.types or any(is_in(event.type, name, ".*") for name in wanted.types))
        and (not wanted.visibility or event.visibility in wanted.visibility)
        and (wanted.since is None or event.time >= wanted.since)
        and (wanted.until is None or event.time < wanted.until)
        and (wanted.run is None or (wanted.run != "" and event.run == wanted.run))
    )


def stored(events: list[Written]) -> Reads:
    """An index that has read these from a stream; event n has the number, the sequence and the id n."""
    store = in_memory()
    read_stream(
        store,
        *(
            NewEvent(n, None, event.owner, "s", event.stored, f"i{n}", body(event), event.by_session)
            for n, event in enumerate(events, 1)
        ),
    )
    return Reads(store.db)


@given(st.lists(WRITTEN, max_size=12), st.lists(FILTERS, min_size=1, max_size=8), st.booleans())
@settings(max_examples=300)
def test_everybody_means_the_same(events: list[Written], filters: list[Filter], newest: bool) -> None:
    """The index, the twin that looks at single events, and the rules in words find the same events."""
    reads = stored(events)
    for wanted in filters:
        numbered = [(seen(event).time, n, event) for n, event in enumerate(events, 1)]
        inside = [(time, n, event) for time, n, event in numbered if fits(wanted, seen(event))]
        twin = [
            n
            for n, event in enumerate(events, 1)
            if matches(wanted, Origin(event.owner, event.by_session), body(event), event.stored)
        ]
        assert sorted(n for _, n, _ in inside) == twin
        if wanted.text is not None:
            inside = [x for x in inside if seen(x[2]).word == "apple" and seen(x[2]).visibility != "secret"]
        expected = [n for _, n, _ in sorted(inside, reverse=newest)]
        assert [entry.n for entry in reads.page(wanted, newest=newest, limit=ALL)] == expected
        assert [entry.n for entry in reads.shown(wanted, newest=newest, limit=2)] == expected[:2]
        arrived = reads.arrived(wanted, after=0, upto=ALL, limit=ALL)
        assert [entry.n for entry in arrived] == sorted(expected)
        assert reads.in_stream(S, wanted, after=0, upto=ALL, limit=ALL) == arrived
        for hit in reads.recall("apple", wanted, limit=ALL, around=3):
            for entry in (hit.entry, *hit.around):
                assert may_read(wanted.scope, entry.agent, entry.visibility)
                assert fits(wanted, seen(events[entry.n - 1]))


@given(st.lists(WRITTEN, max_size=12), st.sampled_from([*AGENTS, "ghost"]), GRANTED)
@settings(max_examples=300)
def test_nobody_reads_what_is_not_theirs(events: list[Written], reader: str, granted: frozenset[str]) -> None:
    """Whatever way it is asked: what a reader sees is what the rule allows, no more and no less."""
    reads = stored(events)
    scope = Scope(reader=reader, granted=granted)
    allowed = {
        n for n, event in enumerate(events, 1) if may_read(scope, seen(event).author, seen(event).visibility)
    }
    assert {entry.n for entry in reads.page(Filter(scope=scope), limit=ALL)} == allowed
    assert {n for n in range(1, len(events) + 1) if reads.by_id(f"i{n}", scope)} == allowed
    assert {n for n in range(1, len(events) + 1) if reads.by_place(S, n, scope)} == allowed
    if reader:
        memories = {n for n in allowed if seen(events[n - 1]).type.startswith("memory.")}
        own = {n for n in memories if seen(events[n - 1]).author == reader}
        assert {mark[0] for mark in reads.marks(reader, since=None, limit=ALL)} <= allowed
        assert {entry.n for entry in reads.memories(reader, limit=ALL)} == own
        others = {entry.n for entry in reads.memories_of_others(reader, granted, limit=ALL)}
        assert others == memories - own
        asked = ContextRequest(reader, query="apple", granted=granted)
        block = build(IndexSource(reads, granted), asked, ContextSettings()).document
        assert "out_of_scope" not in block["left_out"]
        shown = {item["id"] for section in block["sections"] for item in section["items"]}
        assert shown <= {f"i{n}" for n in allowed}
