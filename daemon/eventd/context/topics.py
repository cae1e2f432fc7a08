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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

<<<<<<< HEAD
=======
from ..events.types import Kind
>>>>>>> context
from .reading import Message
from .stopwords import GERMAN, STOP, WEAK

MAX_MESSAGES = 160  # newest messages that are looked at
MAX_CHARACTERS = 9000  # of all messages together; the newest have precedence
OF_USER, OF_AGENT = 400, 200  # characters of a message that are looked at: agents are wordy
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
MAX_WORDS = 3  # of a phrase
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

_BREAK, _WORD, _WEAK, _IDENTIFIER, _EASTERN = range(5)
_known: dict[str, tuple[str, int]] = {}


@dataclass(frozen=True, slots=True)
class Topic:
    """What is talked about.

    Attributes:
        messages, sessions: In how many of the messages that were looked at, and of their sessions.
    """

    text: str
    messages: int
    sessions: int


@dataclass(slots=True)
class _Candidate:
    words: int
    mentions: int = 0
    weight: float = 0.0
    worth: float = 0.0  # sum over mentions of how good a name it was there
    special: bool = False


def topics(messages: Sequence[Message], limit: int) -> list[Topic]:
    """Return the topics of a conversation, the weightiest first.

    Args:
        messages: Oldest first.
    """
    if limit <= 0:
        return []
    read = _read(messages)
    singles: dict[str, int] = {}
    for _, _, tokens in read:
        for key in {key for key, kind, _, _ in tokens if kind is not _BREAK}:
            singles[key] = singles.get(key, 0) + 1
    least = 1 if len(read) < FEW else 2
    found: dict[str, _Candidate] = {}
    surfaces: dict[str, dict[str, int]] = {}
    sessions: dict[str, set[str]] = {}
    for weight, session, tokens in read:
        for key, (words, surface, worth, special) in _candidates(tokens, singles, least).items():
            candidate = found.get(key)
            if candidate is None:
                candidate = found[key] = _Candidate(words)
                surfaces[key], sessions[key] = {}, set()
            candidate.mentions += 1
            candidate.weight += weight
            candidate.worth += worth
            candidate.special |= special
            surfaces[key][surface] = surfaces[key].get(surface, 0) + 1
            sessions[key].add(session)
    ranked = sorted(
        (
            (_score(candidate, len(sessions[key])), key)
            for key, candidate in found.items()
            if candidate.mentions >= 2
            or (least == 1 and (candidate.special or (candidate.words > 1 and len(read) <= HARDLY_ANY)))
        ),
        key=lambda pair: (-pair[0], pair[1]),
    )
    chosen = _apart([key for _, key in ranked[: 12 * limit]], found, limit)
    return [Topic(_usual(surfaces[key]), found[key].mentions, len(sessions[key])) for key in chosen]


def _read(messages: Sequence[Message]) -> list[tuple[float, str, list[tuple[str, int, str, float]]]]:
    """Return weight, session and tokens of the messages that are looked at, newest first."""
    talk = [m for m in messages if m.mark.kind is Kind.MESSAGE_IN or m.mark.kind is Kind.MESSAGE_OUT]
    talk = talk[-MAX_MESSAGES:]
    room, read = MAX_CHARACTERS, []
    for age, message in enumerate(reversed(talk)):
        user = message.mark.kind is Kind.MESSAGE_IN
        text = message.text[: 2 * OF_USER]
        if "```" in text:
            text = _CODE.sub("\n", text)
        text = text[: OF_USER if user else OF_AGENT]
        room -= len(text)
        if room < 0:
            break
        recency = 1.0 - (1.0 - OLDEST_WEIGHT) * age / len(talk)
        read.append((recency * (1.0 if user else AGENT_WEIGHT), message.mark.session, _tokens(text)))
    return read


def _tokens(text: str) -> list[tuple[str, int, str, float]]:
    """Return key, kind, surface and worth of each word; what divides runs has the kind `_BREAK`."""
    words = _TOKENS.findall(text)
    known = _known
    tokens: list[tuple[str, int, str, float]] = []
    first = True  # of a sentence, where a capital means nothing
    capitals = german = 0
    for word in words:
        held = known.get(word)
        if held is None:
            held = _classify(word)
        key, kind = held
        if kind is _BREAK:
            if word in '.!?:\n•*-–—>"“„(':
                first = True
            else:
                first = False
                german += word in GERMAN
            tokens.append(("", _BREAK, "", 0.0))
            continue
        if kind is _EASTERN:
            for piece in _pieces(word):
                tokens.append((piece, _EASTERN, piece, 1.0 + EASTERN_LENGTH * (len(piece) - 2)))
                tokens.append(("", _BREAK, "", 0.0))
            continue
        worth = 1.0
        surface = word
        if kind is _IDENTIFIER:
            worth = IDENTIFIER_BONUS
        elif word[0].isupper():
            if first and word[1:].islower():
                surface = "^" + word  # may be a name or just the first word
            else:
                worth = NAME_BONUS
                capitals += 1
        first = False
        tokens.append((key, kind, surface, worth))
    if german >= 2 and capitals:
        tokens = [
            (key, kind, surface, LOWER_GERMAN if kind is _WORD and surface[:1].islower() else worth)
            for key, kind, surface, worth in tokens
        ]
    return tokens


def _classify(word: str) -> tuple[str, int]:
    lower = word.lower()
    first = word[0]
    if not (first.isalpha() or first in "_#") or word.startswith(("http://", "https://")):
        held = ("", _BREAK)
    elif first == "#" or "_" in word or "." in word or "/" in word:
        # Of a path its last part is enough: `tests/test_auth.py` and `test_auth.py` are one.
        plain = lower.rstrip("._/-").rpartition("/")[2]
        parts = plain.split(".")
        real = len(plain) > 4 and len(parts[-1]) > 1 and parts[0] not in STOP and parts[-1] not in STOP
        held = (plain, _IDENTIFIER) if real or (first == "#" and len(word) > 1) else ("", _BREAK)
    elif _EAST.search(word):
        held = ("", _EASTERN)
    elif lower in STOP or _plain(lower) in STOP or len(word) < 2 or len(word) > LONGEST:
        held = ("", _BREAK)
    else:
        held = (_stem(lower), _WEAK if lower in WEAK else _WORD)
    if len(_known) >= MAX_CACHED:
        _known.clear()
    _known[word] = held
    return held


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


def _pieces(run: str) -> Iterable[str]:
    """Return the parts of a Chinese or Japanese run that may be words."""
    found: list[str] = []
    for piece in _EAST_PIECES.findall(run):
        if len(piece) <= 3 or piece.isascii() or all("\u30a0" <= char <= "\u30ff" for char in piece):
            found.append(piece)
        else:
            found += [piece[i : i + n] for n in (2, 3, 4, 5, 6) for i in range(len(piece) - n + 1)]
        if len(found) > 60:
            break
    return found


def _candidates(
    tokens: Sequence[tuple[str, int, str, float]], singles: dict[str, int], least: int
) -> dict[str, tuple[int, str, float, bool]]:
    """Return what a message may be about, by key: number of words, surface, worth, whether it is a name."""
    found: dict[str, tuple[int, str, float, bool]] = {}
    run: list[tuple[str, int, str, float]] = []
    for token in tokens:
        key, kind, surface, worth = token
        if kind is _BREAK or singles[key] < least:
            run.clear()
            continue
        run.append(token)
        if kind is not _WEAK:
            special = worth > 1.0 and kind is not _EASTERN
            held = found.get(key)
            if held is None or (held[1][:1] == "^" and surface[:1] != "^"):
                if "\uac00" <= key[0] <= "\ud7a3":
                    surface = key  # Korean words carry their particles
                found[key] = (1, surface, _alone(surface, worth, kind), special)
        for length in (2, 3):
            if len(run) < length:
                break
            part = run[-length:]
            if (part[0][3] <= 1.0 and _VERB_LIKE.search(part[0][2])) or (
                not key.isascii() and _HANGUL.match(key)
            ):
                continue
            if all(kind is _WEAK for _, kind, _, _ in part):
                continue
            name = " ".join(key for key, _, _, _ in part)
            if name not in found:
                shown = " ".join(surface for _, _, surface, _ in part)
                mean = sum(worth for _, _, _, worth in part) / length
                special = all(worth > 1.0 for _, _, _, worth in part)
                found[name] = (length, shown, mean * (1 + PHRASE_BONUS * (length - 1)), special)
    return found


def _alone(surface: str, worth: float, kind: int) -> float:
    """Return how good a name a lone word is."""
    if kind is _WORD and worth <= 1.0:
        if _VERB_LIKE.search(surface):
            return worth * VERB_LIKE
        return worth * (LONE_WORD if len(surface) > 3 else VERB_LIKE)
    return worth


def _score(candidate: _Candidate, sessions: int) -> float:
    mean = candidate.worth / candidate.mentions
    return candidate.weight * mean * (1 + SESSION_BONUS * min(4, sessions - 1))


def _apart(keys: Sequence[str], found: dict[str, _Candidate], limit: int) -> list[str]:
    """Choose topics that do not repeat each other."""
    chosen: list[str] = []
    for key in keys:
        mentions = found[key].mentions
        keep = True
        for place, other in enumerate(chosen):
            if _within(key, other):
                keep = mentions >= OFTEN_ALONE * found[other].mentions
            elif _within(other, key):
                if mentions * OFTEN_ALONE >= found[other].mentions:  # the phrase says more
                    chosen[place] = key
                keep = False
            elif found[key].words > 1 and found[other].words > 1 and set(key.split()) & set(other.split()):
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


def _usual(surfaces: dict[str, int]) -> str:
    """Return the most usual way to write it; a capital at the begin of a sentence says nothing."""
    counts: dict[str, int] = {}
    for surface, count in surfaces.items():
        plain = surface.replace("^", "").removesuffix("'s").removesuffix("’s")
        if "^" in surface and (lower := plain[0].lower() + plain[1:]) in surfaces:
            plain = lower
        counts[plain] = counts.get(plain, 0) + count
    return min(counts, key=lambda text: (-counts[text], len(text), text))
