"""Other streams that take (part of) a route's subjects, and the missing stream: two sides of one thing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..jetstream.permissions import PermissionMissing
from ..jetstream.session import Session
from ..jetstream.stream import METADATA_KEY, matches
from ..jetstream.streams import stream_info, streams_for_subject
from ..routes import Route, Routes, same_account
from .model import Finding, Findings, Level, unmade
from .repairs import Repairs
from .streams import base_of, label, lists_agents, too_many_copies


@dataclass(frozen=True, slots=True)
class Other:
    """A stream beside the route's own.

    Attributes:
        subjects: Those of its patterns that lie in, or around, the route's subjects.
        ours: Whether eventd made it.
        expected: Whether it is the stream of another configured route.
    """

    name: str
    subjects: tuple[str, ...]
    ours: bool
    expected: bool


@dataclass(frozen=True, slots=True)
class Overlap:
    """All of them.

    Attributes:
        denied: Why they are not known, where the login may not ask.
        servers: How many there are in the server's cluster, as `servers_of` has it.
    """

    others: Sequence[Other] = ()
    denied: str = ""
    servers: int | None = 1


async def others_of(session: Session, routes: Routes, route: Route, servers: int | None) -> Overlap:
    """Ask the server which streams take (part of) a route's subjects."""
    wide = f"{base_of(route)}.>"
    if route.shared_account:
        text = "this login may not ask which streams there are; the administrator's may"
        return Overlap(denied=text, servers=servers)
    found = []
    try:
        for name in await streams_for_subject(session, wide):
            if name != route.stream:
                info = await stream_info(session, name)
                found.append(_other(name, info["config"], wide, routes, route))
    except PermissionMissing as error:
        return Overlap(denied=str(error), servers=servers)
    return Overlap(found, servers=servers)


def _other(name: str, config: Mapping[str, Any], wide: str, routes: Routes, route: Route) -> Other:
    subjects = tuple(p for p in config.get("subjects") or () if matches(p, wide) or matches(wide, p))
    expected = any(each.stream == name and _same_server(each, route) for each in routes.all())
    return Other(name, subjects, METADATA_KEY in (config.get("metadata") or {}), expected)


def _same_server(one: Route, other: Route) -> bool:
    return same_account(one, other) or one.server.urls == other.server.urls


def overlap_findings(overlap: Overlap, repairs: Repairs, *, missing: bool) -> Findings:
    """Say what the streams beside the route's mean for it.

    Args:
        repairs: What can be done for the route.
        missing: Whether the route's own stream is not there.
    """
    route = repairs.route
    name, wide = label(route), f"{base_of(route)}.>"
    findings: Findings = []
    if overlap.denied:
        findings.append(unmade("stream.overlap", "overlap", overlap.denied, route=name))
    if missing and (too_many := too_many_copies(route, overlap.servers)) is not None:
        findings.append(too_many)
    around = next((o for o in overlap.others if any(matches(p, wide) for p in o.subjects)), None)
    if around is not None:
        return [*findings, _inside(repairs, around, wide)]
    if missing:
        findings.append(_missing(repairs))
    return [*findings, *_beside(route, overlap)]


def _inside(repairs: Repairs, other: Other, wide: str) -> Finding:
    """Say that a wide stream takes all events of a route."""
    route = repairs.route
    check, title, name = "stream.overlap", "overlap", label(route)
    text = f"stream {other.name} takes {', '.join(other.subjects)}, so {route.stream} cannot exist beside it"
    if other.ours:
        text += "; eventd made it, and lets it list its agents at the next start"
        return Finding(check, Level.NOTE, title, text, "restart eventd", route=name)
    text += f": the events of route {name} go to {other.name}, where all readers of that one see them"
    if wide in other.subjects:
        return Finding(
            check, Level.WARNING, title, text, f"set streamName: {other.name} for this route", route=name
        )
    return Finding(
        check, Level.WARNING, title, text,
        f"`eventd doctor --fix --narrow {other.name}` lets it list its agents instead; or "
        f"`nats stream edit {other.name} --subjects=…` without {wide}",
        route=name, fix=repairs.narrow(other.name, other.subjects),
    )  # fmt: skip


def _missing(repairs: Repairs) -> Finding:
    route = repairs.route
    check, title, name = "stream.exists", "stream", label(route)
    if route.shared_account:
        return Finding(
            check, Level.PROBLEM, title, f"there is no stream {route.stream}, and this login may not make it",
            "`eventd nats-config --mode users --make-streams --admin FILE`", route=name,
        )  # fmt: skip
    if lists_agents(repairs.config.routes, route):
        text = f"{route.stream} is made with the first event: it has to list its agents"
        return Finding(check, Level.NOTE, title, text, route=name)
    text = f"there is no stream {route.stream}"
    if repairs.visited.routes().get(name, {}).get("connected"):  # then the daemon would have made it
        remedy = "`eventd doctor --fix` makes it"
        return Finding(check, Level.PROBLEM, title, text, remedy, route=name, fix=repairs.make())
    return Finding(
        check, Level.NOTE, title, f"{text}; eventd makes it when it starts",
        "`eventd doctor --fix` makes it now", route=name, fix=repairs.make(),
    )  # fmt: skip


def _beside(route: Route, overlap: Overlap) -> Iterator[Finding]:
    check, title, name = "stream.overlap", "overlap", label(route)
    strange = [other for other in overlap.others if not other.expected]
    for other in strange:
        yield Finding(
            check, Level.WARNING, title,
            f"stream {other.name}, which no route names, takes {', '.join(other.subjects)}: these go there",
            "let it take other subjects, or name it as the streamName of that agent's entry", route=name,
        )  # fmt: skip
    if not strange and not overlap.denied and overlap.others:
        names = ", ".join(other.name for other in overlap.others)
        yield Finding(
            check, Level.OK, title, f"shares its prefix with the agents' own streams: {names}", route=name
        )
