"""A stream as it is, against what the configuration says and shipping needs. Decides only; asks nobody."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..jetstream.settings import (
    ATOMIC_SINCE,
    DIRECT_SINCE,
    NANOSECONDS,
    TTL_SINCE,
    Version,
    wanted_settings,
)
from ..jetstream.stream import METADATA_KEY, matches
from ..routes import DEFAULT_ROUTE, Route, Routes
from ..subjects import agent_prefix
from ..units import format_duration
from .model import Finding, Findings, Level

NEARLY_FULL = 90  # percent of a stream's limit
FOR_THREE = 3  # servers; fewer cannot outvote one that is away, so that more copies would gain nothing

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """A stream as the server describes it, for one route.

    Attributes:
        info: The answer to `STREAM.INFO`.
        version: Of the server.
        servers: How many there are in its cluster, from `servers_of`.
    """

    route: Route
    info: Tree
    version: Version
    servers: int | None = 1

    @property
    def config(self) -> Tree:
        """Its settings."""
        found: Tree = self.info["config"]
        return found

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.config["name"])

    @property
    def subjects(self) -> list[str]:
        """The patterns that it takes."""
        return list(self.config.get("subjects") or [])

    @property
    def ours(self) -> bool:
        """Whether eventd made it."""
        return METADATA_KEY in (self.config.get("metadata") or {})

    @property
    def changeable(self) -> bool:
        """Whether eventd may change it."""
        return self.ours or (self.route.settings.manage and self.name == self.route.stream)


def label(route: Route) -> str:
    """Return a route's name as `eventd status` has it."""
    return "default" if route.name == DEFAULT_ROUTE else route.name


def base_of(route: Route) -> str:
    """Return what all subjects of a route begin with."""
    return route.prefix if route.name == DEFAULT_ROUTE else agent_prefix(route.prefix, route.name)


def lists_agents(routes: Routes, route: Route) -> bool:
    """Whether the stream of a route has to list its agents, because others' streams lie below its prefix."""
    return route is routes.default and routes.overlapping()


def examine_stream(seen: Seen) -> Findings:
    """Return what there is to say about a stream that exists."""
    return [
        _there(seen),
        *_subjects(seen),
        *_unfit(seen),
        *_settings(seen),
        *_ttl(seen),
        *_room(seen),
        *_replicas(seen),
    ]


def _finding(seen: Seen, check: str, level: Level, title: str, found: str, remedy: str = "") -> Finding:
    return Finding(check, level, title, found, remedy, route=label(seen.route))


def _there(seen: Seen) -> Finding:
    state = seen.info["state"]
    made = "made by eventd" if seen.ours else "not made by eventd" + (", managed" if seen.changeable else "")
    text = f"{seen.name} · {int(state['messages']):,} messages · {made}"
    return _finding(seen, "stream.exists", Level.OK, "stream", text)


def _remedy(seen: Seen, options: str) -> str:
    if seen.changeable:
        return "eventd changes it when it connects next: start or restart it"
    return f"nats stream edit {seen.name} {options}; or let eventd do it: manageStream: true"


def _subjects(seen: Seen) -> Iterator[Finding]:
    check, title = "stream.subjects", "subjects"
    wide = f"{base_of(seen.route)}.>"
    if any(matches(taken, wide) for taken in seen.subjects):
        yield _finding(seen, check, Level.OK, title, f"takes {wide}")
        return
    part = [taken for taken in seen.subjects if matches(wide, taken)]
    if not part:
        yield _finding(
            seen, check, Level.PROBLEM, title,
            f"takes {', '.join(seen.subjects) or 'nothing'}, and nothing of {wide}",
            _remedy(seen, f"--subjects={wide}"),
        )  # fmt: skip
        return
    listed = f"takes {_some(part)} only"
    if seen.changeable:
        yield _finding(seen, check, Level.OK, title, f"{listed}; eventd adds others with their first event")
        return
    yield _finding(
        seen, check, Level.NOTE, title, f"{listed}: what others send becomes dead letters",
        "add them: `eventd nats-config --mode users --agent NAME`, then with --make-streams"
        if seen.route.shared_account
        else _remedy(seen, f"--subjects={','.join([*seen.subjects, f'{base_of(seen.route)}.NAME.>'])}"),
    )  # fmt: skip


def _unfit(seen: Seen) -> Iterator[Finding]:
    """Say what keeps events from being stored, or from being there later."""
    config, check = seen.config, "stream.fit"
    edit = f"nats stream edit {seen.name}"
    if config.get("retention", "limits") != "limits":
        yield _finding(
            seen, check, Level.PROBLEM, "retention",
            f"{config['retention']}: events are gone as soon as somebody has consumed them",
            "make a stream with --retention=limits; it cannot be changed afterwards",
        )  # fmt: skip
    if config.get("storage", "file") != "file":
        yield _finding(
            seen, check, Level.WARNING, "storage", "in memory: events are gone when the server restarts",
            "make the stream anew with --storage=file; it cannot be changed afterwards",
        )  # fmt: skip
    if config.get("sealed"):
        yield _finding(
            seen, check, Level.PROBLEM, "sealed", "it takes no more events", "name another streamName"
        )
    if config.get("mirror"):
        text = "it is a mirror, which takes no events"
        yield _finding(
            seen, check, Level.PROBLEM, "mirror", text, "name the stream that it mirrors as streamName"
        )
    if config.get("no_ack"):
        text = "it acknowledges nothing, so nobody knows what it has"
        yield _finding(seen, check, Level.PROBLEM, "no_ack", text, f"{edit} --ack")
    if config.get("persist_mode") == "async":
        text = "persist_mode is async: what it acknowledges is not on disk, even with sync_interval: always"
        yield _finding(seen, check, Level.WARNING, "persist mode", text, "make the stream anew without it")
    if int(config.get("max_msgs_per_subject") or -1) > 0:
        text = f"only the newest {config['max_msgs_per_subject']} of each subject stay (max_msgs_per_subject)"
        yield _finding(seen, check, Level.WARNING, "limits", text, f"{edit} --max-msgs-per-subject=-1")
    if int(config.get("max_msgs") or -1) > 0:
        text = f"it keeps {config['max_msgs']:,} messages at the most, whatever their age"
        yield _finding(seen, check, Level.NOTE, "limits", text, f"{edit} --max-msgs=-1")


_OPTIONS = {
    "max_age": "--max-age={}",
    "max_bytes": "--max-bytes={}",
    "num_replicas": "--replicas={}",
    "duplicate_window": "--dupe-window={}",
    "allow_direct": "--allow-direct",
    "allow_atomic": "--allow-batch",
}
_MEANINGS = {
    "max_age": (Level.WARNING, "maximum age", "events are kept for {theirs}, and {ours} is configured"),
    "max_bytes": (Level.WARNING, "maximum size", "it may take {theirs}, and {ours} is configured"),
    "num_replicas": (Level.WARNING, "replicas", "{theirs}, and {ours} is configured"),
    "duplicate_window": (Level.WARNING, "duplicate window", "{theirs}, and {ours} is configured"),
    "allow_direct": (Level.NOTE, "direct reads", "not allowed (allow_direct); eventd does without"),
    "allow_atomic": (Level.NOTE, "batches", "not allowed (allow_atomic), so shipping is slower"),
}


def _settings(seen: Seen) -> Iterator[Finding]:
    """Compare its settings with those that eventd would make it with on this server."""
    check = "stream.settings"
    wanted = wanted_settings(seen.version, seen.route.settings)
    same = []
    for key, (level, title, text) in _MEANINGS.items():
        if key not in wanted:
            continue
        ours, theirs = wanted[key], seen.config.get(key)
        if key == "max_bytes" and (theirs or -1) <= 0 and ours <= 0:
            theirs = ours
        if theirs == ours or (key in ("max_age", "duplicate_window") and (theirs or 0) == ours):
            same.append(title)
            continue
        shown = text.format(theirs=_shown(key, theirs), ours=_shown(key, ours))
        yield _finding(
            seen, check, level, title, shown, _remedy(seen, _OPTIONS[key].format(_typed(key, ours)))
        )
    if same:
        yield _finding(seen, check, Level.OK, "settings", f"as configured: {', '.join(same)}")
    if seen.version < ATOMIC_SINCE:
        missing = [
            what
            for since, what in (
                (DIRECT_SINCE, "direct reads"),
                (TTL_SINCE, "memories that outlive the rest"),
                (ATOMIC_SINCE, "batches"),
            )
            if seen.version < since
        ]  # fmt: skip
        text = f"nats-server {'.'.join(map(str, seen.version))} has no {', '.join(missing)}"
        yield _finding(seen, "nats.version", Level.NOTE, "version", text, "upgrade it to 2.12.1 or newer")


def _ttl(seen: Seen) -> Iterator[Finding]:
    check, title = "stream.memory", "memory"
    age = int(seen.config.get("max_age") or 0) / NANOSECONDS
    if seen.config.get("allow_msg_ttl") and seen.version >= TTL_SINCE:
        yield _finding(seen, check, Level.OK, title, "memory.* and migration.* events never expire")
    elif age:
        options = (
            "--allow-msg-ttl" if seen.version >= TTL_SINCE else "(nats-server 2.11 or newer) --allow-msg-ttl"
        )
        yield _finding(
            seen, check, Level.WARNING, title,
            f"memory.* and migration.* events expire after {format_duration(age)}, too: no allow_msg_ttl",
            _remedy(seen, options),
        )  # fmt: skip
    else:
        yield _finding(seen, check, Level.OK, title, "nothing expires in this stream")


def _room(seen: Seen) -> Iterator[Finding]:
    check, title = "stream.room", "room"
    limit, taken = int(seen.config.get("max_bytes") or -1), int(seen.info["state"].get("bytes") or 0)
    refuses = seen.config.get("discard") == "new"
    if limit > 0 and taken * 100 >= limit * NEARLY_FULL:
        text = f"{taken * 100 // limit} % of its {limit:,} bytes are taken; "
        text += "then it takes no more events" if refuses else "then the oldest events leave it, memories too"
        remedy = f"nats stream edit {seen.name} --max-bytes=N"
        yield _finding(seen, check, Level.PROBLEM if refuses else Level.WARNING, title, text, remedy)
    size = int(seen.config.get("max_msg_size") or -1)
    if size > 0:
        text = f"events above {size:,} bytes become dead letters (max_msg_size)"
        yield _finding(
            seen, check, Level.NOTE, title, text, f"nats stream edit {seen.name} --max-msg-size=-1"
        )


def servers_of(info: Tree) -> int | None:
    """Return how many servers run, by the INFO of one; 1 without a cluster, None where it hides them."""
    return len(set(info.get("connect_urls") or ())) or None if info.get("cluster") else 1


def too_many_copies(route: Route, servers: int | None) -> Finding | None:
    """Return the finding where more copies of a stream are configured than servers run to have them."""
    wanted = route.settings.replicas
    if servers is None or wanted <= servers:
        return None
    there = "is in no cluster" if servers == 1 else f"is in a cluster of which {servers} run"
    return Finding(
        "stream.replicas", Level.PROBLEM, "copies",
        f"{wanted} are configured, and this server {there}: such a stream cannot be made",
        "set stream.replicas to 1, or as high as there are servers", route=label(route),
    )  # fmt: skip


def _replicas(seen: Seen) -> Iterator[Finding]:
    """Look at the copies of a stream in a cluster."""
    check, title = "stream.replicas", "copies"
    cluster = seen.info.get("cluster") or {}
    peers = list(cluster.get("replicas") or ())
    copies = int(seen.config.get("num_replicas") or 1)
    if seen.servers == 1:
        if (too_many := too_many_copies(seen.route, seen.servers)) is not None:
            yield too_many
        return
    away = [str(peer.get("name")) for peer in peers if peer.get("offline") or not peer.get("current")]
    if not cluster.get("leader"):
        yield _finding(
            seen, check, Level.PROBLEM, title, "the stream has no leader: nothing can be stored now",
            "most of its servers have to run: `nats stream cluster info`, `nats server report jetstream`",
        )  # fmt: skip
    elif away:
        text = f"{copies}; not up to date: {', '.join(away)}"
        yield _finding(
            seen, check, Level.WARNING, title, text, "`nats server report jetstream` says what is with them"
        )
    elif copies == 1 and (seen.servers or FOR_THREE) >= FOR_THREE:
        yield _finding(
            seen, check, Level.WARNING, title,
            "1, in a cluster: while its server is away nothing can be stored, and with its disk all is lost",
            f"set stream.replicas: 3; for a stream that is there: nats stream edit {seen.name} --replicas=3",
        )  # fmt: skip
    else:
        yield _finding(seen, check, Level.OK, title, f"{copies}, all up to date")


def _shown(key: str, value: Any) -> str:
    if key in ("max_age", "duplicate_window"):
        return (
            format_duration((value or 0) / NANOSECONDS) if value else "ever" if key == "max_age" else "none"
        )
    if key == "max_bytes":
        return f"{value:,} bytes" if value and value > 0 else "any size"
    return str(value)


def _typed(key: str, value: Any) -> str:
    return format_duration(value / NANOSECONDS) if key in ("max_age", "duplicate_window") else str(value)


def _some(patterns: list[str], most: int = 5) -> str:
    return ", ".join(patterns[:most]) + (f" and {len(patterns) - most} more" if len(patterns) > most else "")
