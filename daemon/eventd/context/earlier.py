"""Earlier conversation as lines: for each stretch when, where, how long, and its most telling exchanges."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ..events.types import Kind
from .block import Item, count
from .cutting import cut
from .digest import Exchange, Stretch, alike, stretches, weigh
from .reading import Message
from .safe import CLOSING_QUOTE, OPENING_QUOTE, defuse, label, one_line
from .times import span

ASKED, ANSWERED, SUMMARY = 140, 200, 500  # most characters that are shown of each
MORE = 2  # exchanges of one stretch that are shown beside what it was about and what came of it
TYPICAL = 330  # characters that a stretch takes, about
ENOUGH = 8  # stretches that room is asked for
SHORT_STRETCH = 220  # characters that one takes at the least, as a rule; no more are weighed than could fit
LEAST = 100  # characters below which no stretch is shown


@dataclass(slots=True)
class _Shown:
    stretch: Stretch
    head: str
    summary: str = ""
    told: str = ""  # what it was about, and what came of it
    exchanges: dict[int, str] = field(default_factory=dict)  # lines by their place in the stretch

    def tells(self, exchange: Exchange) -> bool:
        """Whether an exchange adds nothing to what is shown."""
        told = [self.stretch.about, self.stretch.outcome]
        told += [other for other in self.stretch.exchanges if other.place in self.exchanges]
        return any(
            other is not None
            and (alike(exchange.asked, other.asked) or alike(exchange.answered, other.answered))
            for other in told
        )


def wanted(messages: Sequence[Message], shown: int) -> int:
    """Return how many characters the older ones of some messages want, about.

    Args:
        shown: How many of the newest are shown in full.
    """
    return TYPICAL * len(stretches(messages[: max(0, len(messages) - shown)], ENOUGH))


def show(
    messages: Sequence[Message], agent: str, topics: Collection[str], room: int
) -> tuple[list[Item], int]:
    """Digest messages, oldest first; of the stretches the newest have precedence.

    Returns:
        The items, and how many messages are in none of them.
    """
    shown: list[_Shown] = []
    digested = stretches(messages, 1 + room // SHORT_STRETCH)
    left_out = len(messages) - sum(len(stretch.messages) for stretch in digested)
    for stretch in digested:
        if room < LEAST:
            left_out += len(stretch.messages)
            continue
        weigh(stretch, topics)
        entry = _Shown(stretch, _head(stretch))
        if stretch.summaries:
            said = _quoted(stretch.summaries[0].text, min(SUMMARY, max(LEAST, room // 3)))
            entry.summary = f"  summary {said}\n"
        if stretch.about is not None and stretch.outcome is not None:
            same = stretch.about is stretch.outcome
            entry.told = _line(
                stretch.about.asked, stretch.outcome.answered, "answered" if same else "concluded"
            )
        size = len(entry.head) + len(entry.summary) + len(entry.told)
        if size > room or size == len(entry.head):
            left_out += len(stretch.messages)
            continue
        room -= size
        shown.append(entry)
    more = [
        (exchange.worth - 0.5 * rank, -order, exchange, entry)
        for order, entry in enumerate(shown)
        for rank, exchange in enumerate(entry.stretch.exchanges[: MORE + 2])
        if exchange is not entry.stretch.about and exchange is not entry.stretch.outcome
    ]
    for _, _, exchange, entry in sorted(more, key=lambda held: held[:2], reverse=True):
        line = _line(exchange.asked, exchange.answered)
        if entry.tells(exchange):
            continue
        if len(line) <= room and len(entry.exchanges) < MORE:
            entry.exchanges[exchange.place] = line
            room -= len(line)
    shown.sort(key=lambda entry: (entry.stretch.first, entry.stretch.messages[0].mark.n))
    return [_item(entry, agent) for entry in shown], left_out


def _head(stretch: Stretch) -> str:
    session = f", {label(stretch.session)}" if stretch.session else ""
    talk = sum(m.mark.kind is not Kind.COMPACTION for m in stretch.messages)
    messages = f", {count(talk, 'message')}" if talk else ""
    return f"- {span(stretch.first, stretch.last)}{session}{messages}:\n"


def _line(asked: str, answered: str, verb: str = "answered") -> str:
    parts = []
    if asked:
        parts.append(f"asked {_quoted(asked, ASKED)}")
    if answered:
        parts.append(f"{verb} {_quoted(answered, ANSWERED)}")
    return f"  {', '.join(parts)}\n" if parts else ""


def _quoted(text: str, size: int) -> str:
    shortened = text if len(text) <= 4 * size else f"{text[: 2 * size]} […] {text[-2 * size :]}"
    return f"{OPENING_QUOTE}{cut(one_line(defuse(shortened)), size)}{CLOSING_QUOTE}"


def _item(entry: _Shown, agent: str) -> Item:
    stretch = entry.stretch
    lines = entry.summary + entry.told + "".join(line for _, line in sorted(entry.exchanges.items()))
    item = Item(
        "", stretch.session, agent, stretch.first, "digest", "conversation before what is shown in full"
    )
    item.lines = entry.head + lines
    item.cut = True
    item.shown = lines.rstrip("\n")
    return item
