"""Secrets in texts: found by their shape, and replaced by markers that nobody takes for the secret itself.

Only what is a secret by its look is found: keys with well-known beginnings, private keys, and what is named a
password. A value is never part of what is reported.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from .shapes import Shape

BEGIN = "-----BEGIN"
"""What private keys begin with."""
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
    "bearer-token": r"(?i:\bbearer)[ \t]+(?P<bearer>(?!\[redacted:)[A-Za-z0-9._~+/-]{16,4096}=*)",
    "password": (
        # Whatever stands before: AWS_SECRET_ACCESS_KEY, PGPASSWORD, clientSecret.
        r"(?i:password|passwd|passphrase|pwd|secret|token|(?:api|access|private|secret|signing|encryption)[_-]?key)"
        rf"[\"'`*]{{0,3}}[ \t]{{0,3}}[:=][ \t]{{0,3}}[\"'`*]{{0,3}}(?P<word>{_VALUE})"
    ),
}
"""Shape by kind; earlier ones have precedence. A named group is the secret in it, else all of it is."""

_secret = re.compile("|".join(f"(?P<k{n}>{shape})" for n, shape in enumerate(_PATTERNS.values())))
_line_end = re.compile(r"\r\n|\n|\r")
_KINDS = tuple(_PATTERNS)
_VALUES = ("url", "bearer", "word")
_HINTS = (
    "sk-", "sk_", "rk_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "akia", "asia", "aiza",
    "glpat-", "npm_", ":aa", "eyj", "://", "bearer", "passw", "passphrase", "pwd", "secret", "key",
    "token",
)  # fmt: skip
"""Lower-case texts of which one stands in the line of every secret. Looking for them takes no time."""


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


def find(text: str, own: Sequence[Shape] = ()) -> list[Secret]:
    """Return what looks like a secret, in the order of the text.

    Args:
        own: Shapes of a person's own, see `shapes`.
    """
    found = _find_known(text)
    return _with_own(text, found, own) if own else found


def _with_own(text: str, found: list[Secret], own: Sequence[Shape]) -> list[Secret]:
    """Return what was found together with what has one of a person's own shapes; what overlaps is one."""
    ends = [place.end() for place in _line_end.finditer(text)]
    for kind, shape in own:
        for match in shape.finditer(text):
            start, end = match.span()
            if match.groupdict().get("secret"):
                start, end = match.span("secret")
            if start < end:
                found.append(Secret(start, end, 1 + bisect_right(ends, start), kind))
    together: list[Secret] = []
    for secret in sorted(found):
        if together and secret.start < together[-1].end:
            together[-1] = together[-1]._replace(end=max(secret.end, together[-1].end))
        else:
            together.append(secret)
    return together


def _find_known(text: str) -> list[Secret]:
    found: list[Secret] = []
    ends: list[int] | None = None
    at = 0
    for start, end in _lines(text):
        for match in _secret.finditer(text, max(start, at), max(end, at)):
            kind = next(n for n in range(len(_KINDS)) if match[f"k{n}"] is not None)
            value = next((name for name in _VALUES if match[name] is not None), f"k{kind}")
            first, at = match.span(value)
            if ends is None:
                ends = [place.end() for place in _line_end.finditer(text)]
            found.append(Secret(first, at, 1 + bisect_right(ends, first), _KINDS[kind]))
    return found


def _lines(text: str) -> list[tuple[int, int]]:
    """Return where the lines are that may hold a secret; all of a text that may hold one of several lines."""
    low = text.lower()
    if BEGIN in text or len(low) != len(text):
        return [(0, len(text))]
    lines: dict[int, int] = {}
    for hint in _HINTS:
        at = low.find(hint)
        while at >= 0:
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            lines[text.rfind("\n", 0, at) + 1] = end
            at = low.find(hint, end)
    return sorted(lines.items())


def mask(text: str, secrets: list[Secret]) -> str:
    """Return a text with markers in place of the secrets that `find` has found in it."""
    parts: list[str] = []
    at = 0
    for secret in secrets:
        parts += text[at : secret.start], MARKER.format(kind=secret.kind)
        at = secret.end
    return "".join((*parts, text[at:]))
