"""What the recent conversation is about: up to eight phrases, found without a model.

The method: a text is a row of words; punctuation and stop words divide it into runs, as in RAKE, and the
words of a run and its pairs and triples are candidates. A candidate counts in how many *messages* it is (a
word that is repeated in one message counts once), more for what people say than for what agents say, more
for newer messages, and more when several sessions mention it. Phrases, identifiers and names are worth more
than lone lower-case words; words that name nothing by themselves (`error`, `Datei`) only count within a
phrase. Forms of a word are one (`migration`, `migrations`; `Datenbank`, `Datenbanken`) and the most usual
form is shown. Of a phrase and its parts one is kept: the phrase, unless a part is mentioned far more often.

In German text that is written with capitals, words in lower case are no nouns and count little. Chinese and
Japanese have no spaces: their runs are divided at function words (hiragana), and short pieces that several
messages share are the candidates.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..events.types import Kind
from .reading import Message
from .stopwords import GERMAN, STOP, WEAK

MAX_MESSAGES = 100  # newest messages that are looked at
MAX_CHARACTERS = 5000  # of all messages together; the newest have precedence
LEAST_OF_USER, OF_USER = 120, 400  # characters of a person's message that are looked at: the fewer, the more
AGENT_PART = 0.4  # as many of an agent's: agents are wordy
FEW = 6  # messages; with fewer, a name that is mentioned once is a topic
HARDLY_ANY = 2  # messages; with so few, a phrase is one, too
AGENT_WEIGHT = 0.6  # of a mention by an agent; people decide what a conversation is about
OLDEST_WEIGHT = 0.5  # of a mention in the oldest message; the newest counts 1
SESSION_BONUS = 0.25  # for each further session that mentions it, up to four
PHRASE_BONUS, IDENTIFIER_BONUS, NAME_BONUS = 0.35, 1.3, 1.3
LONE_WORD = 0.75  # worth of a lone lower-case word: it may be no noun
EASTERN_LENGTH = 0.3  # bonus for each character beyond two of a Chinese or Japanese piece
LOWER_GERMAN = 0.3  # worth of a lower-case word in German text that has capitals
VERB_LIKE = 0.5  # worth of a lone lower-case word with the ending of a verb or adverb
OFTEN_ALONE = 1.7  # a part is kept beside its phrase when it is mentioned this many times as often
CLOSELY = 10  # times as many candidates are weighed as there may be topics
MAX_PIECES = 60  # of a run of Chinese or Japanese
MAX_CACHED = 20_000  # words whose stem and class are remembered
LONGEST = 40  # characters of a word

_TOKENS = re.compile(
    r"https?://\S+|#\d+|[A-Za-z_][\w-]*(?:[./][\w-]+)*[./_][\w-]*\w|[^\W\d_]\w*(?:[-'’][^\W_]+)*|\S|\n"
)
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_EAST = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_EAST_PIECES = re.compile(
    r"[^\W\d_\u3041-\u309f的了是在我你您他她它们這这那有不和就也都吗呢吧啊要会能把给请被很与及或但还再对从到什么怎哪谁为以可上下个一]{2,12}"
)
_HANGUL_ENDING = re.compile(r"(?:에서|으로|에게|까지|부터|은|는|이|가|을|를|에|의|로|도|와|과)$")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_VERB_LIKE = re.compile(r"(?:ing|ed|ly|ieren|iert|able|ible|ful|ous|ive|lich|ig)$")

# Endings of forms, longest first, with the letters that have to be left.
_ENDINGS = (
    ("ers", 4), ("ing", 4), ("ern", 4), ("er", 4), ("en", 4), ("es", 4), ("ed", 4),
    ("s", 3), ("n", 5), ("e", 4),
)  # fmt: skip

_SENTENCE_BREAKS = frozenset('.!?:\n•*-–—>"“„(')
_BREAK, _WORD, _WEAK, _IDENTIFIER, _EASTERN = range(5)


@dataclass(frozen=True, slots=True)
class Topic:
    """What is talked about.

    Attributes:
        messages, sessions: In how many of the messages that were looked at, and of their sessions.
    """

    text: str
    messages: int
    sessions: int


class _Word(NamedTuple):
    """A word in its place.

    Attributes:
        key: What its forms have in common.
        surface: As it is written; with a `^` before it where its capital may be that of the sentence.
        worth: How good a name it is by itself.
    """

    key: str
    kind: int
    surface: str
    worth: float


class _Read(NamedTuple):
    """A message that was looked at."""

    weight: float
    session: str
    runs: list[list[_Word]]


_Words = tuple[_Word, ...]
_Mention = tuple[_Read, _Words]
_known: dict[str, _Word] = {}


def topics(messages: Sequence[Message], limit: int) -> list[Topic]:
    """Return the topics of a conversation, the weightiest first.

    Args:
        messages: Oldest first.
    """
    if limit <= 0:
        return []
    read = _read(messages)
    singles: Counter[str] = Counter()
    for message in read:
        singles.update({word.key for run in message.runs for word in run})
    least = 1 if len(read) < FEW else 2
    found: dict[str, list[_Mention]] = {}
    for message in read:
        for key, words in _candidates(message.runs, singles, least).items():
            held = found.get(key)
            if held is None:
                found[key] = [(message, words)]
            else:
                held.append((message, words))
    # The weight decides which candidates are looked at closely, how good a name they are which of them stay.
    weighty = sorted(
        (-sum([message.weight for message, _ in mentions]) * len(mentions[0][1]), key)
        for key, mentions in found.items()
        if len(mentions) > 1 or (least == 1 and _names(mentions[0][1], len(read)))
    )[: CLOSELY * limit]
    ranked = sorted((-_score(found[key]), key) for _, key in weighty)
    chosen = _apart([key for _, key in ranked], found, limit)
    return [Topic(_usual(found[key]), len(found[key]), _sessions(found[key])) for key in chosen]


def _read(messages: Sequence[Message]) -> list[_Read]:
    """Return the messages that are looked at, newest first."""
    talk = [m for m in messages if m.mark.kind is Kind.MESSAGE_IN or m.mark.kind is Kind.MESSAGE_OUT]
    talk = talk[-MAX_MESSAGES:]
    room = MAX_CHARACTERS
    of_user = min(OF_USER, max(LEAST_OF_USER, 2 * room // max(1, len(talk))))
    of_agent = int(of_user * AGENT_PART)
    read: list[_Read] = []
    for age, message in enumerate(reversed(talk)):
        user = message.mark.kind is Kind.MESSAGE_IN
        text = message.text[: 2 * of_user]
        if "```" in text:
            text = _CODE.sub("\n", text)
        text = text[: of_user if user else of_agent]
        room -= len(text)
        if room < 0:
            break
        recency = 1.0 - (1.0 - OLDEST_WEIGHT) * age / len(talk)
        weight = recency * (1.0 if user else AGENT_WEIGHT)
        read.append(_Read(weight, message.mark.session, _runs(text)))
    return read


def _runs(text: str) -> list[list[_Word]]:
    """Divide a text at punctuation and stop words into runs of words that may name something."""
    runs: list[list[_Word]] = []
    run: list[_Word] = []
    first = True  # of a sentence, where a capital means nothing
    capitals = german = 0
    known = _known
    for token in _TOKENS.findall(text):
        word = known.get(token) or _classify(token)
        kind = word.kind
        if kind is _BREAK:
            if run:
                runs.append(run)
                run = []
            if token in _SENTENCE_BREAKS:
                first = True
            else:
                first = False
                german += token in GERMAN
            continue
        if kind is _EASTERN:
            runs += [[piece] for piece in _pieces(token)]
            continue
        if kind is not _IDENTIFIER and token[0].isupper():
            if first and token[1:].islower():
                word = _Word(word.key, kind, "^" + token, 1.0)
            else:
                capitals += 1
        first = False
        run.append(word)
    if run:
        runs.append(run)
    if german >= 2 and capitals:  # nouns have capitals here
        runs = [[_no_noun(word) if word.kind is _WORD else word for word in run] for run in runs]
    return runs


def _no_noun(word: _Word) -> _Word:
    return word._replace(worth=LOWER_GERMAN) if word.surface[:1].islower() else word


def _classify(token: str) -> _Word:
    lower = token.lower()
    first = token[0]
    word = _Word("", _BREAK, "", 0.0)
    if not (first.isalpha() or first in "_#") or token.startswith(("http://", "https://")):
        pass
    elif first == "#" or "_" in token or "." in token or "/" in token:
        # Of a path its last part is enough: `tests/test_auth.py` and `test_auth.py` are one.
        plain = lower.rstrip("._/-").rpartition("/")[2]
        parts = plain.split(".")
        real = len(plain) > 4 and len(parts[-1]) > 1 and parts[0] not in STOP and parts[-1] not in STOP
        if real or (first == "#" and len(token) > 1):
            word = _Word(plain, _IDENTIFIER, token, IDENTIFIER_BONUS)
    elif _EAST.search(token):
        word = _Word("", _EASTERN, "", 0.0)
    elif not (lower in STOP or _plain(lower) in STOP or len(token) < 2 or len(token) > LONGEST):
        worth = NAME_BONUS if first.isupper() else 1.0
        key = _stem(lower)
        if _HANGUL.match(key):
            token = key  # Korean words carry their particles
        word = _Word(key, _WEAK if lower in WEAK else _WORD, token, worth)
    if len(_known) >= MAX_CACHED:
        _known.clear()
    _known[token] = word
    return word


def _plain(word: str) -> str:
    """Return a word without the ending of a possessive."""
    word = word.replace("’", "'")
    return word if word in STOP else word.removesuffix("'s")


def _stem(word: str) -> str:
    """Return what the forms of a word have in common, roughly; only for telling them together."""
    if "\uac00" <= word[0] <= "\ud7a3":
        return _HANGUL_ENDING.sub("", word) if len(word) > 2 else word
    word = _plain(word)
    size = len(word)
    if size > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith("ungen") and size > 8:
        return word[:-2]
    if word.endswith(("ss", "us", "is")):
        return word
    for ending, rest in _ENDINGS:
        if word.endswith(ending) and size - len(ending) >= rest:
            return word[: -len(ending)]
    return word


def _pieces(token: str) -> list[_Word]:
    """Return the parts of a Chinese or Japanese run that may be words."""
    found: list[str] = []
    for piece in _EAST_PIECES.findall(token):
        if len(piece) <= 3 or piece.isascii() or all("\u30a0" <= char <= "\u30ff" for char in piece):
            found.append(piece)
        else:
            found += [piece[i : i + n] for n in (2, 3, 4, 5, 6) for i in range(len(piece) - n + 1)]
        if len(found) > MAX_PIECES:
            break
    return [_Word(text, _EASTERN, text, 1.0 + EASTERN_LENGTH * (len(text) - 2)) for text in found]


def _candidates(runs: Sequence[Sequence[_Word]], singles: Counter[str], least: int) -> dict[str, _Words]:
    """Return what a message may be about: words, pairs and triples by their keys."""
    found: dict[str, _Words] = {}
    for run in runs:
        before: list[_Word] = []
        for word in run:
            key = word.key
            if singles[key] < least:
                before.clear()
                continue
            if word.kind is not _WEAK and (key not in found or found[key][0].surface[0] == "^"):
                found[key] = (word,)
            if before:
                last = before[-1]
                name = f"{last.key} {key}"
                if name not in found and _leads(last) and not (last.kind is _WEAK and word.kind is _WEAK):
                    found[name] = (last, word)
                if len(before) > 1 and _leads(before[-2]):
                    name = f"{before[-2].key} {name}"
                    if name not in found:
                        found[name] = (before[-2], last, word)
            before.append(word)
    return found


def _leads(word: _Word) -> bool:
    """Whether a phrase may begin with a word: not with a verb, and Korean phrases are not told apart here."""
    return not (word.worth <= 1.0 and _VERB_LIKE.search(word.surface)) and not _HANGUL.match(word.key)


def _names(words: _Words, messages: int) -> bool:
    """Whether something that is mentioned once in a short conversation is one of its topics."""
    special = all(word.worth > 1.0 and word.kind is not _EASTERN for word in words)
    return special or (len(words) > 1 and messages <= HARDLY_ANY)


def _score(mentions: Sequence[_Mention]) -> float:
    weight = sum([message.weight for message, _ in mentions])
    worth = sum([_worth(words) for _, words in mentions]) / len(mentions)
    return round(weight * worth * (1 + SESSION_BONUS * min(4, _sessions(mentions) - 1)), 9)


def _sessions(mentions: Sequence[_Mention]) -> int:
    return len({message.session for message, _ in mentions})


def _worth(words: _Words) -> float:
    if len(words) > 1:
        mean = sum(word.worth for word in words) / len(words)
        return mean * (1 + PHRASE_BONUS * (len(words) - 1))
    word = words[0]
    if word.kind is not _WORD or word.worth > 1.0:
        return word.worth
    return word.worth * (VERB_LIKE if len(word.surface) < 4 or _VERB_LIKE.search(word.surface) else LONE_WORD)


def _apart(keys: Sequence[str], mentions: Mapping[str, Sequence[_Mention]], limit: int) -> list[str]:
    """Choose topics that do not repeat each other."""
    chosen: list[str] = []
    for key in keys:
        often = len(mentions[key])
        keep = True
        for place, other in enumerate(chosen):
            if _within(key, other):
                keep = often >= OFTEN_ALONE * len(mentions[other])
            elif _within(other, key):
                if often * OFTEN_ALONE >= len(mentions[other]):  # the phrase says more
                    chosen[place] = key
                keep = False
            elif " " in key and " " in other and not set(key.split()).isdisjoint(other.split()):
                keep = False
            if not keep:
                break
        if keep:
            chosen.append(key)
        if len(chosen) >= limit:
            break
    return list(dict.fromkeys(chosen))


def _within(part: str, whole: str) -> bool:
    if part == whole:
        return True
    if " " in whole:
        return f" {part} " in f" {whole} "
    if _EAST.match(part):  # pieces that overlap are of one word
        edges = part[0] == whole[-1] or part[-1] == whole[0]
        return edges or any(part[i : i + 2] in whole for i in range(len(part) - 1))
    return len(part) > 2 and whole.startswith(part + ".")  # auth and auth.py


def _usual(mentions: Sequence[_Mention]) -> str:
    """Return the most usual way to write it; a capital at the begin of a sentence says nothing."""
    surfaces = Counter(" ".join(word.surface for word in words) for _, words in mentions)
    counts: Counter[str] = Counter()
    for surface, count in surfaces.items():
        plain = surface.replace("^", "").removesuffix("'s").removesuffix("’s")
        lower = plain[0].lower() + plain[1:]
        counts[lower if "^" in surface and lower in surfaces else plain] += count
    return min(counts, key=lambda text: (-counts[text], len(text), text))
