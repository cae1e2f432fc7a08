"""What leaves the process: without what is private, without secrets, and no longer than is of use.

A tool may answer with 20 MB. What a person looks for later is at its beginning and at its end, so these are
kept, with a note between them that says how much is missing.
"""

import json
import math
import re
from typing import Any

from ..redaction import find, mask

PRIVATE = "[private]"
"""Stands for what a person has put between <private> and </private>."""

MAX_EVENT = 512 * 1024  # bytes of an event's data; NATS takes messages of 1 MiB where nothing else is set
MAX_DEPTH = 40  # levels; the protocol allows an event 64
MAX_KEY = 256  # characters
MARGIN = 20_000  # characters beside what is kept in which a secret is still seen as a whole
STEPS = ((64 * 1024, 2000), (16 * 1024, 500), (4 * 1024, 200), (1024, 60), (256, 20))
"""Characters of one text, and items of one list or map, until all of it fits; each step keeps less."""

_tag = re.compile(r"<(/?)private>", re.IGNORECASE)
_secret_name = re.compile(r"pass|pwd|secret|key|token", re.IGNORECASE)


def without_private(text: str) -> str:
    """Return a text with `PRIVATE` for each private part; one that does not end goes on to the end."""
    parts: list[str] = []
    at = depth = 0
    for found in _tag.finditer(text):
        if not found[1]:
            if depth == 0:
                parts += text[at : found.start()], PRIVATE
            depth += 1
        elif depth:
            depth -= 1
            at = found.end()
    return "".join((*parts, "" if depth else text[at:])) if parts else text


def is_all_private(text: str) -> bool:
    """Whether nothing of a message is left for others."""
    kept = without_private(text)
    return kept != text and not kept.replace(PRIVATE, "").strip()


def redacted(text: str) -> str:
    """Return a text with a typed marker for each key, token or password in it."""
    return mask(text, find(text))


def clean(value: Any, room: int = MAX_EVENT) -> Any:
    """Return data for an event: what is private and secret replaced, and cut until it takes `room` bytes."""
    for chars, items in STEPS:
        value = _clean(value, chars, items, 0)
        if len(json.dumps(value, ensure_ascii=False).encode()) <= room:
            return value
    return "[eventd: too large, left out]"


def shorten(text: str, most: int) -> str:
    """Return both ends of a text that is longer than `most` characters, with a note between them."""
    if len(text) <= most:
        return text
    end = most // 4
    return _joined(text[: most - end], len(text) - most, len(text), text[-end:])


def _clean(value: Any, chars: int, items: int, depth: int, key: str = "") -> Any:
    match value:
        case str():
            return _clean_text(value, chars, key)
        case dict() | list() if depth >= MAX_DEPTH:
            return "[eventd: deeper levels are left out]"
        case dict():
            kept = list(value.items())[:items]
            cleaned = {
                _sound(str(name))[:MAX_KEY]: _clean(held, chars, items, depth + 1, str(name))
                for name, held in kept
            }
            if len(value) > items:
                cleaned["…"] = f"[eventd: {len(value) - items} of {len(value)} entries left out]"
            return cleaned
        case list():
            some = [_clean(held, chars, items, depth + 1, key) for held in value[:items]]
            if len(value) > items:
                some.append(f"[eventd: {len(value) - items} of {len(value)} items left out]")
            return some
        case bool() | None:
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
    return str(value)


def _clean_text(text: str, chars: int, key: str) -> str:
    text = without_private(_sound(text))
    if len(text) <= chars + 2 * MARGIN:
        return shorten(_redacted(text, key), chars)
    end = chars // 4
    begin = _redacted(text[: chars - end + MARGIN], key)[: chars - end]
    return _joined(begin, len(text) - chars, len(text), redacted(text[-end - MARGIN :])[-end:])


def _redacted(text: str, key: str) -> str:
    """Redact a text; what its key calls a password is one, whatever it looks like."""
    if not _secret_name.search(key) or "\n" in text:
        return redacted(text)
    named = f"{key}="
    return redacted(named + text).removeprefix(named)


def _joined(begin: str, missing: int, length: int, end: str) -> str:
    return f"{begin}\n[eventd: {missing} of {length} characters left out here]\n{end}"


def _sound(text: str) -> str:
    """Return a text without halves of characters, which no JSON and no msgpack holds."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
