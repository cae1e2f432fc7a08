"""The recent conversation: message by message, each with a fair share of the room, the newest with more."""

from collections.abc import Sequence

from ..events.types import Kind
from .block import Item
from .cutting import cut, shares
from .reading import Message, Past
from .safe import defuse, label, one_line, quote
from .times import clock, day

LEAST = 180  # characters that a message takes at least, with its head; with less room, fewer are shown
MOST = 2000  # characters of a message that are asked for; more is shown where nobody else wants the room
HEAD = 30  # characters that go with a message beside its text, about
NEWEST, NEWEST_WEIGHT = 6, 2.0  # so many of the newest messages get so many times the room of an older one
SHORTEST = 12  # characters of a message below which nothing is shown of it


def candidates(past: Past, most: int) -> list[Message]:
    """Return the newest messages of the window, oldest first."""
    if most <= 0:
        return []
    talk = [message for message in past.messages if message.mark.kind is not Kind.COMPACTION]
    first = next((place for place, message in enumerate(talk) if message.time >= past.since), len(talk))
    return _begun(talk, max(first, len(talk) - most))


def wanted(messages: Sequence[Message]) -> int:
    """Return how many characters messages want together, about."""
    return sum(_wanted(message) for message in messages)


def choose(messages: Sequence[Message], room: int) -> list[Message]:
    """Choose as many of the newest messages as get a share that is worth reading; oldest first."""
    first = len(messages)
    for message in reversed(messages):
        room -= min(_wanted(message), LEAST)
        if room < 0 and first < len(messages):
            break
        first -= 1
    return _begun(messages, first)


def _begun(messages: Sequence[Message], first: int) -> list[Message]:
    """Return messages from a place on, without an answer at the beginning whose question is before it.

    Both are better told in the digest.
    """
    while 0 < first < len(messages) - NEWEST:
        message, before = messages[first], messages[first - 1]
        if message.mark.kind is not Kind.MESSAGE_OUT or before.mark.session != message.mark.session:
            break
        first += 1
    return list(messages[first:])


def show(messages: Sequence[Message], agent: str, room: int) -> tuple[list[Item], int]:
    """Show messages, session by session.

    Args:
        messages: Oldest first.

    Returns:
        The items, and how many messages had no room.
    """
    by_session: dict[str, list[Message]] = {}
    for message in messages:
        by_session.setdefault(message.mark.session, []).append(message)
    groups = sorted(by_session.values(), key=lambda group: (group[-1].time, group[-1].mark.n))
    ordered = [message for group in groups for message in group]
    places = {id(message): place for place, message in enumerate(messages)}
    newest = len(messages) - NEWEST
    weights = [NEWEST_WEIGHT if places[id(message)] >= newest else 1.0 for message in ordered]
    heads = [_head(message) for message in ordered]
    headings = [_heading(before, message) for before, message in zip([None, *ordered], ordered, strict=False)]
    texts = [_ready(message.text, max(room, 0)) for message in ordered]
    left = room - sum(len(head) + 1 for head in heads) - sum(map(len, headings))
    given = shares([len(quote(text)) for text in texts], left, weights)
    items: list[Item] = []
    before: Message | None = None
    for message, head, text, share in zip(ordered, heads, texts, given, strict=True):
        shown = _within(text, share)
        if not shown:
            continue
        item = Item(message.mark.event_id, message.mark.session, agent, message.time, message.role, "")
        item.why = f"among the {len(messages)} newest messages" if len(messages) > 1 else "the newest message"
        item.lines = f"{_heading(before, message)}{head}{quote(shown)}\n"
        item.shown, item.cut = shown, shown != text or len(message.text) > 3 * max(room, 0)
        items.append(item)
        before = message
    return items, len(messages) - len(items)


def _wanted(message: Message) -> int:
    return min(len(message.text), MOST) + 2 * message.text.count("\n", 0, MOST) + HEAD


def _heading(before: Message | None, message: Message) -> str:
    session = message.mark.session
    if before is not None and before.mark.session == session and day(before.time) == day(message.time):
        return ""
    return f"### {day(message.time)} {label(session)}".rstrip() + "\n"


def _head(message: Message) -> str:
    repeated = f", {message.times} times" if message.times > 1 else ""
    return f"{clock(message.time)} {message.role}{repeated}\n"


def _ready(text: str, room: int) -> str:
    """Defuse a text, or of a very long one as much of both ends as could ever be shown."""
    return defuse(f"{text[:room]}\n[…]\n{text[-room:]}" if len(text) > 3 * room > 0 else text)


def _within(text: str, size: int) -> str:
    """Cut a text so that quoted it takes at most `size` characters; "" where that is too little."""
    room = size - 2
    shown = text
    for _ in range(4):
        over = len(quote(shown)) - size
        if over <= 0:
            return shown
        room -= max(over if shown is not text else 2 * text.count("\n", 0, room), 0)
        if room < SHORTEST:
            break
        shown = cut(text, room)
    shown = cut(one_line(text), size - 2)
    return shown if len(shown) >= SHORTEST and len(quote(shown)) <= size else ""
