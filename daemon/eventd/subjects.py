"""NATS subjects of events: `{prefix}.{agent}.{type with dots as underscores}`.

A token keeps `[A-Za-z0-9_-]`; every other byte of its UTF-8 form becomes `%XX`, so that any agent name is
one token, never a wildcard, and can be read back.
"""

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

CACHED_SUBJECTS = 8192  # one per agent and type in use

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_ENCODED = re.compile(r"(?:[A-Za-z0-9_-]|%[0-9A-F]{2})+")
_OTHER = re.compile(rb"[^A-Za-z0-9_-]")


def encode_token(text: str) -> str:
    """Encode a name as one subject token.

    Raises:
        ValueError: It is empty; a subject has no empty tokens.
    """
    if _PLAIN.fullmatch(text):
        return text
    if not text:
        raise ValueError("an empty name cannot be a subject token")
    return _OTHER.sub(lambda match: b"%%%02X" % match[0][0], text.encode()).decode("ascii")


def decode_token(token: str) -> str:
    """Read a token that `encode_token` made.

    Raises:
        ValueError: `encode_token` makes no such token.
    """
    if _PLAIN.fullmatch(token):
        return token
    text = unquote_to_bytes(token).decode() if _ENCODED.fullmatch(token) else ""
    if not text or encode_token(text) != token:
        raise ValueError(f"{token!r} is not an encoded subject token")
    return text


def agent_prefix(prefix: str, agent: str) -> str:
    """Return what all subjects of an agent begin with, without the last dot.

    The agent's token is left out only where the prefix already ends in that very token.
    """
    token = encode_token(agent)
    return prefix if prefix.rpartition(".")[2] == token else f"{prefix}.{token}"


@lru_cache(CACHED_SUBJECTS)
def subject_of(prefix: str, agent: str, event_type: str) -> str:
    """Return the subject of an agent's events of one type."""
    return f"{agent_prefix(prefix, agent)}.{encode_token(event_type.replace('.', '_'))}"


def agent_of(prefix: str, subject: str) -> str | None:
    """Return the agent whose subject this is, or None where it is not one that `subject_of` makes.

    The inverse of `subject_of` as far as the agent goes; of the type only underscores are left.
    """
    if not subject.startswith(prefix + "."):
        return None
    match subject[len(prefix) + 1 :].split("."):
        case [token, _]:
            pass
        case [_]:
            token = prefix.rpartition(".")[2]
        case _:
            return None
    try:
        return decode_token(token)
    except ValueError:
        return None
