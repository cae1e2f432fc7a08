"""What leaves the process: without what is private, without secrets, and no longer than is of use.

A tool may answer with 20 MB. What a person looks for later is at its beginning and at its end, so these are
kept, with a note between them that says how much is missing.
"""

from __future__ import annotations

import math
import re

from ..shapes import own_shapes

TYPE_CHECKING = False  # typing's own takes 3 ms to load
if TYPE_CHECKING:
    from typing import Any

PRIVATE = "[private]"
"""Stands for what a person has put between <private> and </private>."""

MAX_EVENT = 256 * 1024  # bytes of an event's data; NATS takes messages of 1 MiB where nothing else is set
MAX_DEPTH = 40  # levels; the protocol allows an event 64
MAX_KEY = 256  # characters
LONG_NAME = 16  # characters from which on a name may be a key or token itself
STEPS = ((64 * 1024, 2000), (16 * 1024, 500), (4 * 1024, 200), (1024, 60), (256, 20), (64, 8))
"""Characters of one text, and items of one list or map, until all of it fits; each step keeps less."""
BOTH_ENDS = 16 * 1024  # characters of a text from which on its end is kept, too; of others the beginning
MARGIN = 20_000  # characters beside what is kept of both ends in which a secret is still seen as a whole
SHORT_MARGIN = 300  # the same of a beginning: what begins like a key is taken for one

# Lower case; no secret is in a text without one of these. Loading the shapes of all of them takes 5 ms.
_HINTS = (
    "sk-", "sk_", "rk_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat", "xox", "akia", "asia", "aiza",
    "glpat", "npm_", ":aa", "eyj", "-----begin", "://", "bearer", "pass", "pwd", "secret", "key", "token",
)  # fmt: skip
_SECRET_NAMES = ("pass", "pwd", "secret", "key", "token")


def without_private(text: str) -> str:
    """Return a text with `PRIVATE` for each private part; one that does not end goes on to the end."""
    if "private" not in text.lower():
        return text
    parts: list[str] = []
    at = depth = 0
    for found in re.finditer(r"<\s*(/?)\s*private\s*>", text, re.IGNORECASE):
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
    """Return a text with a typed marker for each key, token or password in it, and whatever else a person
    has told to be secret."""
    lower = text.lower()
    own = own_shapes().known
    if not own and not any(hint in lower for hint in _HINTS):
        return text
    from ..redaction import find, mask

    return mask(text, find(text, own))


def clean(value: Any, room: int = MAX_EVENT) -> Any:
    """Return data for an event: what is private and secret replaced, and cut until it takes `room` bytes."""
    for chars, items in STEPS:
        # Looking for secrets takes 0.5 µs a character, so first it is found out how much is kept.
        if _size(value, chars, items, 0, room) <= room:
            return _clean(value, chars, items, 0)
    return "[eventd: too large, left out]"


def _size(value: Any, chars: int, items: int, depth: int, most: int) -> int:
    """Return about how many bytes of data are kept; more than `most` is only known to be more."""
    if isinstance(value, str):
        return len(value[:chars].encode("utf-8", "replace")) + 100
    if not isinstance(value, dict | list) or depth >= MAX_DEPTH:
        return 24
    size = 60
    for held in list(value.items() if isinstance(value, dict) else value)[:items]:
        if isinstance(value, dict):
            size += min(len(held[0]), MAX_KEY) + _size(held[1], chars, items, depth + 1, most)
        else:
            size += _size(held, chars, items, depth + 1, most)
        if size > most:
            break
    return size


def _clean(value: Any, chars: int, items: int, depth: int, key: str = "") -> Any:
    match value:
        case str():
            return _clean_text(value, chars, key)
        case dict() | list() if depth >= MAX_DEPTH:
            return "[eventd: deeper levels are left out]"
        case dict():
            kept = list(value.items())[:items]
            cleaned = {
                _clean_name(str(name)): _clean(held, chars, items, depth + 1, str(name))
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


def _clean_name(name: str) -> str:
    """Clean a name; a short one is no secret, unless a person says so, and looking costs time."""
    name = _sound(name)[:MAX_KEY]
    if len(name) < LONG_NAME and not own_shapes().known:
        return name
    return redacted(without_private(name))


def _clean_text(text: str, chars: int, key: str) -> str:
    text = without_private(_sound(text))
    if len(text) <= chars:
        return _redacted(text, key)
    end = chars // 4 if chars >= BOTH_ENDS else 0
    margin = MARGIN if end else SHORT_MARGIN
    begin = _redacted(text[: chars - end + margin], key)[: chars - end]
    note = f"[eventd: {len(text) - chars} of {len(text)} characters left out here]"
    return f"{begin}\n{note}" + (f"\n{redacted(text[-end - margin :])[-end:]}" if end else "")


def _redacted(text: str, key: str) -> str:
    """Redact a text; what its key calls a password is one, whatever it looks like."""
    if "\n" in text or not any(name in key.lower() for name in _SECRET_NAMES):
        return redacted(text)
    named = f"{key}="
    return redacted(named + text).removeprefix(named)


def _sound(text: str) -> str:
    """Return a text without halves of characters, which no JSON and no msgpack holds."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
