"""Earlier conversation in a few lines: per stretch of a session what was asked and what was concluded.

Extractive: every line is what somebody said, shortened to its most telling sentence. Nothing is made up, and
no model is asked.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ..events.types import Kind
from .reading import Message

STRETCH_GAP = 3_600_000  # ms of silence after which a session's conversation counts as another one
MAX_EXCHANGES = 40  # of a stretch that are weighed: the first and the last ones
LOOKED_AT = 2000  # characters at each end of a message that are looked at for its sentence
MAX_SENTENCES = 8  # at each end of a message that are weighed
SHORT, LONG = 20, 220  # characters of a sentence that says enough, and of one that says too much

_SENTENCES = re.compile(r"[^.!?。！？\n]+(?:[.!?](?=\S)[^.!?。！？\n]*)*[.!?。！？]*")
_CONCLUDES = re.compile(
    r"\b(?:done|fixed|decided|agreed|works?|working|deployed|merged|resolved|finished|completed?|passed?|"
    r"created|added|removed|changed|moved|renamed|updated|installed|found|cause[ds]?|because|turns out|result|"
    r"recommend|chose|chosen|is now|are now|will be|set to|noted|remembered|booked|scheduled|sent|"
    r"erledigt|fertig|behoben|entschieden|beschlossen|vereinbart|funktioniert|läuft|gelöst|abgeschlossen|"
    r"erstellt|hinzugefügt|entfernt|geändert|verschoben|umbenannt|aktualisiert|installiert|gefunden|ursache|"
    r"weil|liegt an|lag an|ergebnis|empfehle|notiert|gebucht|geplant|gesendet|bleibt|steht)\b|[✅✔☑]",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\?|^(?:please|can|could|would|how|what|why|when|where|who|which|is|are|do|does|make|add|fix|write|find|"
    r"show|tell|remember|remind|let's|we|i (?:want|need)|bitte|kannst|könntest|wie|was|warum|wann|wo|wer|"
    r"welche[rs]?|mach|schreib|zeig|such|merk|erinner|ich (?:will|brauche|möchte))\b",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"^(?:sure|ok(?:ay)?|great|thanks?|thank you|hi|hello|hey|yes|no|of course|certainly|absolutely|got it|"
    r"let me|i'll|i will|i am going to|now i|now let|good (?:question|morning|evening)|perfect|"
    r"let me know|feel free|would you like|do you want|shall i|should i|is there anything|hope this|"
    r"klar|gerne?|natürlich|danke|hallo|guten|moin|ja|nein|alles klar|verstanden|ich schaue|ich werde|"
    r"soll ich|möchtest du|sag bescheid|melde dich)\b",
    re.IGNORECASE,
)
_MARKS = re.compile(r"^[\s>*_#•·–—-]+|^\d+[.)]\s+|[\s*_]+$")


@dataclass(slots=True)
class Exchange:
    """What was asked, and what came of it.

    Attributes:
        asked, answered: Sentences; "" where there is none.
        worth: How telling it is.
        place: Its place in the stretch.
    """

    asked: str
    answered: str
    worth: float
    place: int


@dataclass(slots=True)
class Stretch:
    """Conversation of one session without a long pause.

    Attributes:
        exchanges: The most telling ones first.
        summaries: What the agent itself wrote when its conversation was compacted, newest first.
    """

    session: str
    messages: list[Message] = field(default_factory=list)
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


def stretches(messages: Sequence[Message]) -> list[Stretch]:
    """Divide conversation into stretches, the newest first; they are not yet weighed.

    Args:
        messages: Oldest first.
    """
    found: list[Stretch] = []
    open_stretches: dict[str, Stretch] = {}
    for message in messages:
        if message.mark.kind not in (Kind.MESSAGE_IN, Kind.MESSAGE_OUT, Kind.COMPACTION):
            continue
        session = message.mark.session
        stretch = open_stretches.get(session)
        if stretch is None or message.time - stretch.last > STRETCH_GAP:
            stretch = open_stretches[session] = Stretch(session)
            found.append(stretch)
        stretch.messages.append(message)
    return sorted(found, key=lambda stretch: (stretch.last, stretch.messages[-1].mark.n), reverse=True)


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
    if count > MAX_EXCHANGES:
        half = MAX_EXCHANGES // 2
        chosen = [*range(half), *range(count - half, count)]
    else:
        chosen = list(range(count))
    stretch.exchanges = []
    for place in chosen:
        asked_in, answered_in = pairs[place]
        asked, first = _best(asked_in[:1] + asked_in[-1:] if len(asked_in) > 1 else asked_in, True, topics)
        answered, second = _best(answered_in[-1:], False, topics)
        # The beginning says what a conversation is about, its end what came of it.
        edge = (0.8 if place == 0 else 0.0) + (1.2 if place == count - 1 else 0.0)
        stretch.exchanges.append(Exchange(asked, answered, first + second + edge, place))
    stretch.exchanges.sort(key=lambda exchange: (-exchange.worth, exchange.place))


def _best(messages: Sequence[Message], asks: bool, topics: Collection[str]) -> tuple[str, float]:
    best, most = "", -9.0
    for message in messages:
        for place, sentence in enumerate(sentences(message.text)):
            worth = _worth(sentence, place, asks, topics)
            if worth > most:
                best, most = sentence, worth
    return best, max(most, 0.0)


def _worth(sentence: str, place: int, asks: bool, topics: Collection[str]) -> float:
    size = len(sentence)
    worth = 0.9 / (1 + 0.5 * place)  # people and agents say first what matters
    if size < SHORT:
        worth -= 0.6 * (SHORT - size) / SHORT
    elif size > LONG:
        worth -= 0.3
    if (_ASKS if asks else _CONCLUDES).search(sentence):
        worth += 0.6
    if _FILLER.match(sentence):
        worth -= 0.7
    if not asks and sentence.endswith("?"):
        worth -= 0.5
    if any(char.isdigit() for char in sentence):
        worth += 0.2
    if topics:
        lower = sentence.lower()
        worth += 0.25 * min(2, sum(topic in lower for topic in topics))
    return worth


def sentences(text: str) -> list[str]:
    """Return the first and the last sentences of a text, in their order, without list marks and code."""
    if len(text) > 2 * LOOKED_AT:
        text = text[:LOOKED_AT] + "\n" + text[-LOOKED_AT:]
    if "```" in text:
        text = re.sub(r"```.*?(?:```|\Z)", "\n", text, flags=re.DOTALL)
    found: list[str] = []
    for match in _SENTENCES.finditer(text):
        sentence = _MARKS.sub("", _MARKS.sub("", match.group().strip()))
        if any(char.isalnum() for char in sentence):
            found.append(sentence)
    if len(found) > 2 * MAX_SENTENCES:
        return found[:MAX_SENTENCES] + found[-MAX_SENTENCES:]
    return found
