"""Secrets in texts: found by their shape, and replaced by markers that nobody takes for the secret itself.

Only what is a secret by its look is found: keys with well-known beginnings, private keys, and what is named a
password. A value is never part of what is reported.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

MARKER = "[redacted:{kind}]"
"""What stands in place of a secret; no JSON, Markdown or shell reads anything else into it."""

# The value of a password: to the end of the word, of what is quoted, or of a JSON text. No marker of ours, no
# placeholder or reference to where the value is kept, and nothing that has a kind of its own.
_OTHERS = r"sk-|[rs]k_|gh[pousr]_|github_pat_|xox[abeoprs]-|AKIA|ASIA|AIza|glpat-|npm_|eyJ|-----BEGIN"
_VALUE = rf"(?!\[redacted:|{_OTHERS})(?![<$%*{{(\[])[^\s\"'`,;|<>\\]{{6,256}}"

_PATTERNS: dict[str, str] = {
    "private-key": (
        r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
        r"[^\"'`]{0,16384}?-----END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
        r"|-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----(?:\\n|[A-Za-z0-9+/=\s]){0,16384}"
    ),
    "github-token": r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{22,255})\b",
    "anthropic-key": r"\bsk-ant-[A-Za-z0-9_-]{16,255}",
    "openai-key": r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,255}",
    "stripe-key": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}\b",
    "slack-token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,255}",
    "aws-key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "google-key": r"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
    "gitlab-token": r"\bglpat-[A-Za-z0-9_-]{20,255}",
    "npm-token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "telegram-token": r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])",
    "jwt": r"\beyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,2048}",
    "url-password": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>]{0,128}:(?P<url>(?!\[redacted:)[^\s/@\"'<>]{1,256})@",
    "bearer-token": r"(?i:\bbearer)\s+(?P<bearer>(?!\[redacted:)[A-Za-z0-9._~+/-]{16,4096}=*)",
    "password": (
        r"(?i:(?<![A-Za-z0-9])(?:[A-Za-z0-9]{1,32}[_-]){0,4}"
        r"(?:password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token|token))"
        rf"[\"'`*]{{0,3}}\s{{0,3}}[:=]\s{{0,3}}[\"'`*]{{0,3}}(?P<word>{_VALUE})"
    ),
}
"""Shape by kind; earlier ones have precedence. A named group is the secret in it, else all of it is."""

_shapes = [re.compile(shape) for shape in _PATTERNS.values()]
_KINDS = tuple(_PATTERNS)
_VALUES = ("url", "bearer", "word")

# What a text has in it that has a secret of the kind in it. Looking for this takes a hundredth of the time
# that the shape takes, and most texts have none of them.
_MARKS: dict[str, tuple[str, ...]] = {
    "private-key": ("-----BEGIN ",),
    "github-token": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    "anthropic-key": ("sk-ant-",),
    "openai-key": ("sk-",),
    "stripe-key": ("k_live_", "k_test_"),
    "slack-token": ("xox",),
    "aws-key": ("AKIA", "ASIA"),
    "google-key": ("AIza",),
    "gitlab-token": ("glpat-",),
    "npm-token": ("npm_",),
    "telegram-token": (":AA",),
    "jwt": ("eyJ",),
    "url-password": ("://",),
}
_marks = [(mark, kind) for kind, marks in _MARKS.items() for mark in marks]
_NAMES = ("pass", "pwd", "secret", "key", "token")
_named = re.compile(r"(?:password|passwd|passphrase|pwd|secret|api[_-]?key|token)[\"'`*]{0,3}\s{0,3}[:=]")


def _possible(text: str) -> list[int]:
    """Return the numbers of the kinds of which a text may hold one."""
    folded = text.casefold()
    kinds = {kind for mark, kind in _marks if mark in text}
    if "bearer" in folded:
        kinds.add("bearer-token")
    if any(name in folded for name in _NAMES) and _named.search(folded) is not None:
        kinds.add("password")
    return [number for number, kind in enumerate(_KINDS) if kind in kinds] if kinds else []


class Secret(NamedTuple):
    """Where in a text something looks like a secret.

    Attributes:
        start, end: Its characters.
        line: From 1.
    """

    start: int
    end: int
    line: int
    kind: str


def find(text: str) -> list[Secret]:
    """Return what looks like a secret, in the order of the text."""
    found: list[Secret] = []
    ends: list[int] = []
    for kind, match in _matches(text):
        value = next((name for name in _VALUES if match.groupdict().get(name) is not None), 0)
        start, end = match.span(value)
        ends = ends or [place.end() for place in re.finditer(r"\r\n|\n|\r", text)]
        found.append(Secret(start, end, 1 + bisect_right(ends, start), _KINDS[kind]))
    return found


def _matches(text: str) -> Iterator[tuple[int, re.Match[str]]]:
    """Yield the first match in the text, then the first behind it, and so on; each with its kind's number."""
    following = {kind: _shapes[kind].search(text) for kind in _possible(text)}
    while True:
        places = [(match.start(), kind, match) for kind, match in following.items() if match is not None]
        if not places:
            return
        _, kind, match = min(places, key=lambda place: place[:2])
        yield kind, match
        for other, next_one in following.items():
            if next_one is not None and next_one.start() < match.end():
                following[other] = _shapes[other].search(text, match.end())


def mask(text: str, secrets: list[Secret]) -> str:
    """Return a text with markers in place of the secrets that `find` has found in it."""
    parts: list[str] = []
    at = 0
    for secret in secrets:
        parts += text[at : secret.start], MARKER.format(kind=secret.kind)
        at = secret.end
    return "".join((*parts, text[at:]))
