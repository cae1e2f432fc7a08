"""Reading the past: which events count, and what people and agents said in them, each thing once.

Older writers store a message many times: as it grows while it is streamed (each `conversation.message.out` of
a run holds all of the text so far), by a second writer, or because a send was repeated. What is shown is what
was said in the end, once.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from ..config.settings import ContextSettings
from ..events.normal import Tree, normalise, plain, searchable
from ..events.types import MESSAGES, TOOLS, Kind
from .request import ContextRequest
from .source import Mark, Source

SPARE = 16  # starts of the calling session that are expected before the newest event that counts
FEW_MESSAGES = 60  # with fewer among the newest events, messages are looked for by themselves
MAX_BODIES = 1000  # bodies that are read
MAX_BYTES = 4 * 1024 * 1024  # of bodies that are read; a larger one is still read when it is the newest
CHAIN = 4  # messages of one run in a row, each at least as long as the last: likely one that grows
SAME_SAYING = 120_000  # ms within which the same text is one message that was stored twice
DISTINCT = 20  # characters; a text of this length or more is hardly said in two sessions at once
LONGEST_NOISE = 40  # characters of a message that only says that there is nothing to say
LONG = 2000  # characters of a text whose white space is looked at, too
STATED = 60  # characters; a text of this length or more counts once, however often it was said
DELTA_GAP = 60_000  # ms between two states of a growing message where the writer gives no run

START_TYPES = ("session.start",)
FOREIGN = ("tool", "web")
"""Values of `meta.origin` that are no person's and no agent's."""

_NOISE = re.compile(
    r"\W*(?:HEARTBEAT_OK|NO_REPLY|ANNOUNCE_SKIP|REPLY_SKIP)\W*\Z"
    r"|\s*Read HEARTBEAT\.md if it exists"
    r"|\s*\(?no output\)?\s*\Z"
)
_TOKEN = re.compile(
    r"^\W{0,4}(?:HEARTBEAT_OK|NO_REPLY)\b\W*|(?<![\s*_`(\[])[\s*_`(\[]*\b(?:HEARTBEAT_OK|NO_REPLY)\W{0,4}$"
)
# What OpenClaw puts before a person's words: data about the channel, no words of that person.
_WRAPPED = re.compile(r"\A(?:\s*[\w ()-]{0,60}\(untrusted[^)\n]{0,40}\):?\s*```\w*\n.*?\n```\s*)+", re.DOTALL)
# A block of ours that an agent's program stored along with the prompt. It must not grow into the next one.
_OWN = re.compile(r"<eventd-memory\b[^>]{0,300}>.*?(?:</eventd-memory>|\Z)", re.DOTALL)


class _Data(msgspec.Struct, gc=False):
    text: str = ""


class _Payload(msgspec.Struct, gc=False):
    data: _Data | msgspec.UnsetType = msgspec.UNSET
    text: object = None
    content: object = None


class _Body(msgspec.Struct, gc=False):
    payload: _Payload


_decode = msgspec.json.Decoder(_Body).decode


@dataclass(slots=True)
class Message:
    """Something that was said.

    Attributes:
        time: When, Unix ms.
        text: All of it, as it was stored.
        times: How often it was said.
        noise: Whether it says nothing: a heartbeat and its answer.
    """

    mark: Mark
    time: int
    text: str
    times: int = 1
    noise: bool = False

    @property
    def role(self) -> str:
        """Who speaks."""
        return _ROLES.get(self.mark.kind, "other")


_ROLES = {
    Kind.MESSAGE_IN: "user",
    Kind.MESSAGE_OUT: "assistant",
    Kind.TOOL_CALL: "tool call",
    Kind.TOOL_RESULT: "tool result",
    Kind.COMPACTION: "summary",
}


@dataclass(slots=True)
class Past:
    """What there is to tell of.

    Attributes:
        as_of: Time of the newest event that counts, Unix ms; None where there is none.
        since: Begin of the recent window, Unix ms.
        begun: Whether the beginning of the calling session is stored; it is not among the marks.
        marks: All events that were looked at, oldest first, with the times that count.
        messages: What was said, oldest first, each thing once.
        noise: Numbers of the messages that say nothing.
        recent: How many of the events are in the window.
        full: Whether there are more events in the window than were looked at.
        left_out: Why and how often something was left out.
    """

    as_of: int | None = None
    since: int = 0
    begun: bool = False
    marks: list[Mark] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    noise: set[int] = field(default_factory=set)
    recent: int = 0
    full: bool = False
    left_out: Counter[str] = field(default_factory=Counter)


def timed(mark: Mark) -> Mark:
    """Return a mark with the time that counts: a writer whose clock is ahead does not reach the future."""
    return mark if mark.time <= mark.stored or mark.stored <= 0 else mark._replace(time=mark.stored)


def is_start(mark: Mark) -> bool:
    """Whether an event only says that a run or session begins."""
    return mark.kind is Kind.RUN_START or mark.type in START_TYPES


def read(source: Source, request: ContextRequest, settings: ContextSettings) -> Past:
    """Read the newest events of an agent and what was said in them."""
    past = Past()
    limit = SPARE
    newest = source.newest(request.agent, since=None, limit=limit)
    own = _beginning(source, newest, request)
    while len(own) == len(newest) == limit < settings.max_events:  # a session that only ever began
        limit *= SPARE
        newest = source.newest(request.agent, since=None, limit=limit)
        own = _beginning(source, newest, request)
    past.left_out["own_start"] = len(own)
    past.begun = bool(own)
    times = [timed(mark).time for mark in newest if mark.n not in own]
    if not times:
        return past
    as_of = max(times)
    limit = settings.max_events + max(SPARE, len(own))
    found = source.newest(request.agent, since=as_of - settings.horizon, limit=limit)
    marks = [timed(mark) for mark in found if mark.n not in own]
    past.full = len(found) >= limit or len(marks) > settings.max_events
    del marks[settings.max_events :]
    past.as_of = as_of
    past.since = as_of - settings.window
    past.recent = sum(mark.time >= past.since for mark in marks)
    if past.full and sum(mark.kind in MESSAGES for mark in marks) < FEW_MESSAGES:
        seen = {mark.n for mark in marks}
        since = as_of - settings.horizon
        more = source.newest(request.agent, since=since, limit=FEW_MESSAGES, kinds=MESSAGES)
        marks += [timed(mark) for mark in more if mark.n not in seen and mark.n not in own]
    earliest = as_of - settings.horizon
    past.marks = sorted((mark for mark in marks if mark.time >= earliest), key=lambda m: (m.time, m.n))
    _say(source, past, settings)
    return past


def _beginning(source: Source, newest: Sequence[Mark], request: ContextRequest) -> set[int]:
    """Find the events by which the calling session begins: its start, and the message that is the query.

    The block must not depend on whether these are stored yet when it is asked for.
    """
    own: set[int] = set()
    for mark in newest:
        if not request.session or mark.session != request.session:
            continue
        if is_start(mark):
            own.add(mark.n)
        elif mark.kind is Kind.MESSAGE_IN and request.query:
            body = source.bodies([mark.n]).get(mark.n, b"")
            if squeezed(said(body)) != squeezed(request.query):
                break
            own.add(mark.n)
        else:
            break
    return own


def said(body: bytes) -> str:
    """Return the text of a message; "" where there is none."""
    try:
        payload = _decode(body).payload
    except (msgspec.DecodeError, RecursionError):
        pass
    else:  # the two common shapes, without building all of the event
        if payload.data is not msgspec.UNSET:
            if payload.data.text:
                return payload.data.text
        elif isinstance(payload.content, str) and payload.content and payload.text is None:
            return payload.content
    event = normalise(body)
    return event.text if event is not None else ""


def stripped(text: str) -> str:
    """Return what a person or an agent said, without what programs wrapped around it."""
    if "<eventd-memory" in text:
        text = _OWN.sub(" ", text)
    if "(untrusted" in text[:200]:
        text = _WRAPPED.sub("", text)
    if "HEARTBEAT_OK" in text or "NO_REPLY" in text:
        text = _TOKEN.sub("", text)
    return text.strip()


def is_noise(text: str) -> bool:
    """Whether a message only keeps an agent awake."""
    return (len(text) < LONGEST_NOISE or text.lstrip()[:4] == "Read") and _NOISE.match(text) is not None


def squeezed(text: str) -> str:
    """Return a text by which repeats of it are found; white space does not matter in a short one."""
    return text if len(text) > LONG else " ".join(text.split())


def _say(source: Source, past: Past, settings: ContextSettings) -> None:
    wanted = (*MESSAGES, Kind.COMPACTION, *(TOOLS if settings.tools else ()))
    marks = [mark for mark in past.marks if mark.kind in wanted]
    past.left_out["tools"] = sum(mark.kind in TOOLS for mark in past.marks) if not settings.tools else 0
    texts, dropped = _texts(source, marks)
    past.left_out["too_much"] = sum(mark.n not in texts and mark.n not in dropped for mark in marks)
    past.left_out["superseded"] = len(dropped)
    messages: list[Message | None] = []
    growing: dict[str, int] = {}  # place of the last answer of each run
    known: dict[tuple[Kind, str], int] = {}  # place of the last message with a text
    last: dict[str, int] = {}  # place of the last message of each session
    for mark in marks:
        text = texts.get(mark.n)
        if text is None:
            continue
        kind, time = mark.kind, mark.time
        if is_noise(text):
            past.noise.add(mark.n)
            past.left_out["noise"] += 1
            continue
        if not (text := stripped(text)):
            past.left_out["empty"] += 1
            continue
        run = mark.run or mark.session
        if kind is Kind.MESSAGE_OUT:
            place = growing.get(run)
            before = messages[place] if place is not None else None
            if place is not None and before is not None and _grew(before, mark, text, time):
                messages[place] = None
                past.left_out["superseded"] += 1
        key = (kind, text)
        place = known.get(key)
        before = messages[place] if place is not None else None
        times = 1
        if place is not None and before is not None:
            next_to = last.get(mark.session) == place
            if _once(before, mark, time, next_to):
                past.left_out["duplicates"] += 1
                continue
            if len(text) >= STATED or next_to:
                messages[place] = None
                past.left_out["duplicates"] += 1
                times = before.times + 1
        known[key] = last[mark.session] = len(messages)
        if kind is Kind.MESSAGE_OUT:
            growing[run] = len(messages)
        messages.append(Message(mark, time, text, times))
    past.messages = [message for message in messages if message is not None]


def _grew(before: Message, mark: Mark, text: str, time: int) -> bool:
    """Whether a message is an earlier state of the next one."""
    if not mark.run and time - before.time > DELTA_GAP:
        return False
    return len(text) > len(before.text) and text.startswith(before.text)


def _once(before: Message, mark: Mark, time: int, next_to: bool) -> bool:
    """Whether a text that was stored twice was said once.

    A short text that comes again in the same session after something else (`Done.`) was said again.
    """
    if mark.event_id and mark.event_id == before.mark.event_id:
        return True
    if mark.run and mark.run == before.mark.run:
        return True
    elsewhere = mark.session != before.mark.session and len(before.text) >= DISTINCT
    return (next_to or elsewhere) and time - before.time <= SAME_SAYING


def _texts(source: Source, marks: Sequence[Mark]) -> tuple[dict[int, str], set[int]]:
    """Read what was said, newest first as far as the bounds go.

    Of a message that grows over many events only some states are read; when those are beginnings of the
    last one, so are the others.

    Returns:
        Texts by number, and the numbers of earlier states that were not read.
    """
    inner: dict[int, list[Mark]] = {}  # by the number of the last state: those between the samples
    samples: dict[int, list[int]] = {}
    for chain in _chains(marks):
        middle = len(chain) // 2
        inner[chain[-1].n] = [m for i, m in enumerate(chain[:-1]) if i not in (0, middle)]
        samples[chain[-1].n] = [chain[0].n, chain[middle].n]
    skipped = {mark.n for rest in inner.values() for mark in rest}
    texts = _fetch(source, [mark for mark in marks if mark.n not in skipped], MAX_BYTES)
    wrong: list[Mark] = []
    for last, rest in inner.items():
        final = texts.get(last, "")
        if not all(final.startswith(texts.get(sample, "\0")) for sample in samples[last]):
            wrong += rest
    if wrong:
        texts |= _fetch(source, wrong, MAX_BYTES)
        skipped -= {mark.n for mark in wrong}
    return texts, skipped


def _chains(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Find answers that follow each other in one run, none shorter than the one before."""
    chains: list[list[Mark]] = []
    open_chains: dict[str, list[Mark]] = {}
    for mark in marks:
        if mark.kind is not Kind.MESSAGE_OUT or not mark.run:
            continue
        chain = open_chains.get(mark.run)
        if chain is None or mark.size < chain[-1].size:
            chain = open_chains[mark.run] = []
            chains.append(chain)
        chain.append(mark)
    return [chain for chain in chains if len(chain) > CHAIN]


def _fetch(source: Source, marks: Sequence[Mark], room: int) -> dict[int, str]:
    numbers: list[int] = []
    for mark in reversed(marks):
        if numbers and (mark.size > room or len(numbers) >= MAX_BODIES):
            continue
        room -= mark.size
        numbers.append(mark.n)
    bodies: Mapping[int, bytes] = source.bodies(numbers) if numbers else {}
    kinds = {mark.n: mark.kind for mark in marks}
    return {n: text_of(kinds[n], bodies[n]) for n in numbers if n in bodies}


def text_of(kind: Kind, body: bytes) -> str:
    """Return what an event of some kind says; "" where it says nothing in words.

    So does a message that neither a person nor an agent has said, as its writer marks it: what a tool or the
    web says is nobody's memory.
    """
    if kind not in TOOLS and is_foreign(body):
        return ""
    if kind is Kind.COMPACTION:
        event = normalise(body)
        return first_plain(event.data, "summary", "text", "content") if event is not None else ""
    return _tool(body) if kind in TOOLS else said(body)


def is_foreign(body: bytes) -> bool:
    """Whether `meta.origin` of an event is a tool or the web."""
    if b'"origin":"tool"' not in body and b'"origin":"web"' not in body:  # JSON escapes the quotes of a text
        return False
    event = normalise(body)
    return event is not None and event.meta.get("origin") in FOREIGN


def first_plain(data: Tree, *keys: str) -> str:
    """Return the first text under one of the keys; "" without one."""
    for key in keys:
        if text := plain(data.get(key)).strip():
            return text
    return ""


def _tool(body: bytes) -> str:
    event = normalise(body)
    return searchable(event) if event is not None else ""
