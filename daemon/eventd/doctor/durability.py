"""Whether a server that loses its power keeps what it acknowledged, and what can be known of that."""

import re
from pathlib import Path

from ..config.settings import OutboxSettings
from .model import Finding, Level, unmade

CHECK, TITLE = "nats.sync", "sync interval"
SERVERS_DEFAULT = 120.0  # seconds; how long nats-server by itself leaves acknowledged messages to the kernel

_SYNC = re.compile(r"^\s*sync_interval:\s*(\S+)", re.MULTILINE)


def embedded_sync(config: Path, route: str) -> Finding:
    """Read it from the embedded server's own configuration, which its daemon wrote."""
    try:
        found = _SYNC.search(config.read_text(encoding="utf-8"))
    except OSError:
        return unmade(CHECK, TITLE, f"this user may not read {config}", route=route)
    if found is not None and found[1] == "always":
        text = "always: what the embedded server acknowledges is on disk"
        return Finding(CHECK, Level.OK, TITLE, text, route=route)
    interval = found[1] if found else "2m (nats-server's default)"
    return Finding(
        CHECK, Level.WARNING, TITLE, f"{interval}: a power failure loses what it acknowledged since",
        "eventd writes `always`; restart eventd to have its configuration written anew", route=route,
    )  # fmt: skip


def foreign_sync(outbox: OutboxSettings, route: str) -> Finding:
    """Say that it cannot be told from outside, and how far what is retained reaches."""
    text = (
        "cannot be told from outside. By default nats-server syncs every 2 minutes: a power failure loses "
        "what it acknowledged since, a crash of the process does not"
    )
    ask = "ask whoever runs it for `sync_interval: always` in its jetstream section"
    if outbox.retain < SERVERS_DEFAULT:
        return Finding(
            CHECK, Level.WARNING, TITLE,
            f"{text}. eventd retains events for {outbox.retain:g} s only, too short to repair that",
            f"set outbox.retain to 5m; or {ask}", route=route,
        )  # fmt: skip
    bounds = f"{outbox.retain / 60:g} min, {outbox.retain_bytes // 2**20} MiB"
    covered = f"eventd repairs that from what it retains ({bounds})"
    return Finding(CHECK, Level.NOTE, TITLE, f"{text}; {covered}", f"to be sure, {ask}", route=route)
