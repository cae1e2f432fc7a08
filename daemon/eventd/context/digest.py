"""Earlier conversation in a few lines: per stretch of a session what was asked and what was concluded.

Extractive: every line is what somebody said, shortened to its most telling sentence. Nothing is made up, and
no model is asked.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ..events.types import Kind
from .reading import Message
from .stopwords import STOP, words

STRETCH_GAP = 3_600_000  # ms of silence after which a session's conversation counts as another one
FIRST_EXCHANGES, LAST_EXCHANGES = 3, 5  # of a stretch that are weighed
CACHED_SENTENCES = 2048  # whose words are remembered: each is compared with several others
LOOKED_AT = 600  # characters at each end of a message that are looked at for its sentence
MOST_SENTENCES = 4  # at each end of a message that are weighed
SHORT, LONG = 20, 220  # characters of a sentence that says enough, and of one that says too much
MANY_WORDS = 8  # words that are no stop words, in a sentence that says much
MANY_EXCHANGES = 4  # of a stretch, among which it shows what is said again and again
LATENESS = 0.4  # worth of being the last answer
ALIKE = 0.6  # part of the words of a sentence that another one has, too
OPENING = 0.4  # worth of being the first request
FIRST_WORDS = 3  # words of a sentence that count as its beginning

CONCLUDES = words(
    """
done fixed decided agreed works working deployed merged resolved finished completed complete passed pass
passes created added removed changed moved renamed updated installed found cause caused because result
recommend chose chosen noted remembered booked scheduled sent released ✅ ✔ ☑ erledigt fertig behoben
entschieden beschlossen vereinbart funktioniert läuft gelöst abgeschlossen erstellt hinzugefügt entfernt
geändert verschoben umbenannt aktualisiert installiert gefunden ursache weil ergebnis empfehle notiert
gebucht geplant gesendet verschickt bleibt
"""
)
"""Words of a sentence that says what came of something."""

ASKS = words(
    """
please can could would how what why when where who which make add fix write find show tell remember remind
bitte kannst könntest wie was warum wann wo wer welche welcher welches mach schreib zeig such merk erinnere
"""
)
"""Words at the beginning of a request."""

FILLERS = words(
    """
sure ok okay great thanks thank hi hello hey yes no certainly absolutely perfect let now good would do
shall should feel hope is i'll i'm i've you're it's glad enjoy sorry apologies unfortunately klar gern
gerne natürlich danke hallo guten moin ja nein alles verstanden soll möchtest sag melde
"""
)
"""Words with which sentences begin that say little: greetings, announcements, offers."""

_SENTENCES = re.compile(r"[^.!?。！？\n]+(?:[.!?](?=\S)[^.!?。！？\n]*)*[.!?。！？]*")
_WORDS = re.compile(r"[\w']+|[✅✔☑]")
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LIST_MARKS = " \t>*_#•·–—-"
_NUMBERED = re.compile(r"^\d+[.)]\s+")


@dataclass(slots=True)
class Exchange:
    """What was asked, and what came of it.

    Attributes:
        asked, answered: Sentences; "" where there is none.
        telling: How much the request says.
        worth: How much both say.
        place: Its place in the stretch.
    """

    asked: str
    answered: str
    telling: float
    worth: float
    place: int


@dataclass(slots=True)
class Stretch:
    """Conversation of one session without a long pause.

    Attributes:
        about: The exchange whose request says most about the conversation.
        outcome: The last one with an answer.
        exchanges: The most telling ones first.
        summaries: What the agent itself wrote when its conversation was compacted, newest first.
    """

    session: str
    messages: list[Message] = field(default_factory=list)
    about: Exchange | None = None
    outcome: Exchange | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    summaries: list[Message] = field(default_factory=list)

    @property
    def first(self) -> int:
        """When it began, Unix ms."""
        return self.messages[0].time

    @property
    def last(self) -> int:
        """When it ended, Unix ms."""
        return self.messages[-1].time


def stretches(messages: Sequence[Message], most: int) -> list[Stretch]:
    """Divide conversation into stretches, the newest first; they are not yet weighed.

    Args:
        messages: Oldest first.
        most: Most stretches; what is older than they are is not looked at.
    """
    found: list[Stretch] = []
    open_stretches: dict[str, Stretch] = {}
    for message in reversed(messages):
        session = message.mark.session
        stretch = open_stretches.get(session)
        if stretch is None or stretch.messages[-1].time - message.time > STRETCH_GAP:
            if len(found) >= most:
                break
            stretch = open_stretches[session] = Stretch(session)
            found.append(stretch)
        stretch.messages.append(message)
    for stretch in found:
        stretch.messages.reverse()
    return found


def weigh(stretch: Stretch, topics: Collection[str] = ()) -> None:
    """Find the exchanges of a stretch and put the most telling ones first.

    Args:
        topics: Lower-case words of what the conversation is about.
    """
    stretch.summaries = [m for m in reversed(stretch.messages) if m.mark.kind is Kind.COMPACTION]
    pairs: list[tuple[list[Message], list[Message]]] = []
    for message in stretch.messages:
        if message.mark.kind is Kind.MESSAGE_IN:
            if not pairs or pairs[-1][1]:
                pairs.append(([], []))
            pairs[-1][0].append(message)
        elif message.mark.kind is Kind.MESSAGE_OUT:
            if not pairs:
                pairs.append(([], []))
            pairs[-1][1].append(message)
    count = len(pairs)
    chosen = sorted({*range(min(FIRST_EXCHANGES, count)), *range(max(0, count - LAST_EXCHANGES), count)})
    stretch.exchanges = []
    for place in chosen:
        asked_in, answered_in = pairs[place]
        asked, first = _best(asked_in[:1] + asked_in[-1:] if len(asked_in) > 1 else asked_in, True, topics)
        answered, second = _best(answered_in[-1:], False, topics)
        # The beginning says what a conversation is about, its end what came of it.
        first += OPENING if place == 0 else 0.0
        stretch.exchanges.append(Exchange(asked, answered, first, first + second, place))
    _choose(stretch)
    stretch.exchanges.sort(key=lambda exchange: (-exchange.worth, exchange.place))


def _choose(stretch: Stretch) -> None:
    """Choose the request that says what it was about, and the answer that says what came of it."""
    exchanges = stretch.exchanges
    if not exchanges:
        return
    said = [_content(exchange.answered) for exchange in exchanges]
    counts = Counter(word for words in said for word in words)
    many = len(exchanges) if len(exchanges) >= MANY_EXCHANGES else 0

    def outcome(place: int) -> float:
        """Later answers count more, and less those that say what many others say, too."""
        words = said[place]
        common = 2 * sum(counts[word] for word in words) / (len(words) * many) if words and many else 0.0
        exchange = exchanges[place]
        late = LATENESS * (place + 1) / len(exchanges)
        return exchange.worth - exchange.telling + late - common if exchange.answered else -9.0

    stretch.about = max(exchanges, key=lambda exchange: (exchange.telling, -exchange.place))
    stretch.outcome = exchanges[max(range(len(exchanges)), key=lambda place: (outcome(place), place))]


def alike(first: str, second: str) -> bool:
    """Whether two sentences say mostly the same."""
    one, other = _content(first), _content(second)
    return len(one & other) >= ALIKE * min(len(one), len(other))


@lru_cache(CACHED_SENTENCES)
def _content(sentence: str, empty: frozenset[str] = STOP) -> frozenset[str]:
    return frozenset(_WORDS.findall(sentence.lower())) - empty


def _best(messages: Sequence[Message], asks: bool, topics: Collection[str]) -> tuple[str, float]:
    best, most = "", -9.0
    for message in messages:
        found = sentences(message.text)
        if not asks and len(found) > 1 and len(found[0]) < SHORT and _content(found[0], FILLERS) <= CONCLUDES:
            found[:2] = [f"{found[0]} {found[1]}"]  # "Done." says nothing without what is done
        for place, sentence in enumerate(found):
            worth = _worth(sentence, place, asks, topics)
            if worth > most:
                best, most = sentence, worth
    return best, max(most, 0.0)


def _worth(sentence: str, place: int, asks: bool, topics: Collection[str]) -> float:
    size = len(sentence)
    lower = sentence.lower()
    said = _WORDS.findall(lower)
    worth = 0.9 / (1 + 0.5 * place)  # people and agents say first what matters
    if size < SHORT:
        worth -= 0.6 * (SHORT - size) / SHORT
    elif size > LONG:
        worth -= 0.3
    if asks:
        if sentence.endswith("?") or not ASKS.isdisjoint(said[:FIRST_WORDS]):
            worth += 0.6
    else:
        if not CONCLUDES.isdisjoint(said):
            worth += 0.6
        if sentence.endswith("?"):
            worth -= 0.6
    if said and said[0] in FILLERS and not (asks and size > 2 * SHORT):
        worth -= 0.5
    worth += 0.7 * min(MANY_WORDS, len(set(said).difference(STOP))) / MANY_WORDS
    if any(map(str.isdigit, sentence)):
        worth += 0.2
    if topics:
        worth += 0.25 * min(2, sum(topic in lower for topic in topics))
    return worth


def sentences(text: str) -> list[str]:
    """Return the first and the last sentences of a text, in their order, without list marks and code."""
    if len(text) > 2 * LOOKED_AT:
        text = text[:LOOKED_AT] + "\n" + text[-LOOKED_AT:]
    if "```" in text:
        text = _CODE.sub("\n", text)
    found: list[str] = []
    for given in text.split("\n"):
        line = given.lstrip(_LIST_MARKS).rstrip(" *_")
        if line[:1].isdigit():
            line = _NUMBERED.sub("", line, count=1).lstrip(_LIST_MARKS)
        if len(line) > 1:
            found += filter(None, map(str.strip, _SENTENCES.findall(line)))
    if len(found) > 2 * MOST_SENTENCES:
        return found[:MOST_SENTENCES] + found[-MOST_SENTENCES:]
    return found
