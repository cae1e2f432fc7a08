"""The rules for names that JetStream sets. (Those for agents are in `eventd_ipc.strict`.)"""

MAX_STREAM = 255  # bytes; JetStream's own limit (JSMaxNameLen)
MAX_PREFIX = 255  # bytes; leaves room for agent and type in a line that NATS limits to 4096

RESERVED = ("$", "_INBOX")
"""Subjects that begin so are NATS's own."""


def stream_fault(name: str) -> str | None:
    """Say what is wrong with a stream's name; None when nothing is."""
    if not 0 < len(name.encode()) <= MAX_STREAM:
        return f"a stream name has 1 to {MAX_STREAM} bytes"
    if not _is_token(name) or "/" in name or "\\" in name:
        return "a stream name has no spaces, dots, slashes, wildcards (* >) or control characters"
    return None


def prefix_fault(prefix: str) -> str | None:
    """Say what is wrong with what subjects are to begin with; None when nothing is."""
    if not 0 < len(prefix.encode()) <= MAX_PREFIX:
        return f"a subject prefix has 1 to {MAX_PREFIX} bytes"
    if not all(_is_token(token) for token in prefix.split(".")):
        return (
            "a subject prefix is words between single dots, like openclaw.events; "
            "no spaces, wildcards (* >) or control characters, no dot at its ends"
        )
    if prefix.startswith(RESERVED):
        return "subjects that begin with $ or _INBOX belong to NATS"
    return None


def domain_fault(name: str) -> str | None:
    """Say what is wrong with a JetStream domain, one token of `$JS.<domain>.API`; None when nothing is."""
    if not _is_token(name):
        return "a JetStream domain is one word without spaces, dots or wildcards (* >)"
    return None


def cluster_fault(name: str) -> str | None:
    """Say what is wrong with the name of a NATS cluster; None when nothing is."""
    if not name.isprintable() or " " in name:
        return "the name of a cluster has no spaces or control characters"
    return None


def tag_fault(tag: str) -> str | None:
    """Say what is wrong with a tag that servers have, or (`!tag`) do not have; None when nothing is."""
    if not tag.removeprefix("!") or not tag.isprintable() or any(letter in ", " for letter in tag):
        return (
            "a tag is one of server_tags, like zone:a, or !zone:a for servers without it; no spaces or commas"
        )
    return None


def _is_token(text: str) -> bool:
    return bool(text) and text.isprintable() and not any(letter in ".*> " for letter in text)
