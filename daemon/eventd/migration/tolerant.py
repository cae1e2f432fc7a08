"""JSON as people write it: with comments, commas too many, and keys without quotes."""

import json
import re
from typing import Any

import msgspec

_token = re.compile(
    r"""(?P<double>"(?:[^"\\]|\\.)*") | (?P<single>'(?:[^'\\]|\\.)*')
      | (?P<comment>//[^\n]*|/\*.*?\*/) | (?P<comma>,) | (?P<close>[\]}])
      | (?P<number>[+-]?[\d.][\w.+-]*) | (?P<word>[A-Za-z_$][\w$]*) | (?P<space>\s+) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN = frozenset({"true", "false", "null"})


def decode(text: str) -> Any:
    """Return the value of a JSON5 text, as far as configurations use that.

    Raises:
        ValueError: It is none.
    """
    parts: list[str] = []
    comma = False
    for token in _token.finditer(text):
        kind, said = token.lastgroup, token[0]
        if kind in ("comment", "space"):
            continue
        if comma and kind != "close":
            parts.append(",")
        comma = kind == "comma"
        if comma:
            continue
        if kind == "single":
            said = json.dumps(re.sub(r"\\(.)", r"\1", said[1:-1]))
        elif kind == "word" and said not in _PLAIN:
            said = json.dumps(said)
        parts.append(said)
    try:
        return msgspec.json.decode("".join(parts))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
