"""A stream as it was when it was looked at: what it takes, who holds it, and what an operator should know."""

import zlib
from dataclasses import dataclass, field
from typing import Any

from ..routes import Route, Server
from .replicas import Replicas
from .settings import ATOMIC_SINCE, NANOSECONDS, TTL_SINCE, Version

METADATA_KEY = "eventd"
"""What marks a stream that eventd made, in its metadata."""


@dataclass(slots=True)
class Stream:
    """A stream as it was when last looked at.

    Attributes:
        name: Its name; differs from the route's where a wide stream of somebody else takes the subjects.
        created: Creation time as JetStream tells it; another one means another stream.
        ours: Whether eventd made it.
        changeable: Whether eventd may change it.
        atomic: Whether batches can be used, by server and stream.
        ttl: Whether `Nats-TTL` can be used.
        elsewhere: Patterns of the route that other streams take, with these.
        refused: Patterns of the route that it does not take, while it takes others and may not be changed,
            with what a person can do.
        replicas: Who held it then.
        unplaced: Whether it is ours to change, and does not lie where the configuration wants it.
        notes: What an operator should know.
    """

    name: str
    server: str
    created: str
    first_seq: int
    last_seq: int
    subjects: list[str]
    duplicate_window: float
    max_message: int
    ours: bool
    changeable: bool
    atomic: bool
    ttl: bool
    config: dict[str, Any]
    replicas: Replicas = field(default_factory=Replicas)
    unplaced: bool = False
    elsewhere: dict[str, "Stream"] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        """Name and server: equal as long as the route goes to the same place."""
        return f"{self.name}@{self.server}"

    @property
    def identity(self) -> str:
        """Place and creation time: equal only for the very same stream."""
        return f"{self.place} {self.created}"

    @property
    def replicated(self) -> bool:
        """Whether another leader can be elected."""
        return int(self.config.get("num_replicas", 1)) > 1

    def covers(self, subject: str) -> bool:
        """Whether the stream takes a literal subject."""
        return any(matches(pattern, subject) for pattern in self.subjects)

    def owner(self, subject: str) -> "Stream | None":
        """Return the other stream that takes a literal subject of the route, if one does."""
        if self.covers(subject):
            return None
        return next((stream for pattern, stream in self.elsewhere.items() if matches(pattern, subject)), None)

    def refusal(self, subject: str) -> str:
        """Return why a literal subject is not taken, where that cannot be changed from here; else ""."""
        return next((why for pattern, why in self.refused.items() if matches(pattern, subject)), "")


def matches(pattern: str, subject: str) -> bool:
    """Whether a NATS subject pattern (`*`, `>`) takes a subject.

    The subject may itself be a pattern; then the answer is whether all it takes is taken.
    """
    theirs = subject.split(".")
    ours = pattern.split(".")
    for i, name in enumerate(ours):
        if name == ">":
            return len(theirs) > i
        if i >= len(theirs) or theirs[i] == ">" or name not in ("*", theirs[i]):
            return False
    return len(ours) == len(theirs)


def describe(version: Version, route: Route, info: dict[str, Any]) -> Stream:
    """Read JetStream's description of a stream that a route goes to, on a server of this version."""
    config: dict[str, Any] = info["config"]
    state: dict[str, Any] = info["state"]
    ours = METADATA_KEY in (config.get("metadata") or {})
    return Stream(
        name=str(config["name"]),
        server=_fingerprint(route.server),
        created=str(info["created"]),
        first_seq=int(state["first_seq"]),
        last_seq=int(state["last_seq"]),
        subjects=list(config.get("subjects") or []),
        duplicate_window=config.get("duplicate_window", 0) / NANOSECONDS,
        max_message=int(config.get("max_msg_size", -1)),
        ours=ours,
        changeable=ours or (route.settings.manage and config["name"] == route.stream),
        atomic=bool(config.get("allow_atomic")) and version >= ATOMIC_SINCE,
        ttl=bool(config.get("allow_msg_ttl")) and version >= TTL_SINCE,
        config=config,
        replicas=Replicas.of(info),
    )


def _fingerprint(server: Server) -> str:
    """Return a short name for a server as it is configured; the embedded one keeps it over its ports."""
    return f"{zlib.crc32(repr((sorted(server.urls), server.js_domain)).encode()):08x}"
