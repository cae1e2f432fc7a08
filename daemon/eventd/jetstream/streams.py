"""The stream of a route: found, made when it is missing, and changed only when it is ours.

A stream that eventd made carries `METADATA_KEY` in its metadata. Any other stream belongs to somebody
else and is left as it is, unless the configuration says `manageStream: true`.

Overlapping subjects: a default stream on `{prefix}.>` and an agent's own stream below that prefix cannot
both exist in one account (JetStream error 10065). A default stream of ours then lists
`{prefix}.{agent}.>` per agent ("narrow") and grows before an agent's first event. Below a wide stream that
is not ours the agent's events go to the wide one, and `Stream.notes` says so.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import NatsError
from ..routes import Route
from ..subjects import encode_token
from .replicas import KEYS, MOVE_AND_SCALE, REFUSALS, Replicas, placing, placing_remedy
from .session import ApiError, RequestTimeout, Session
from .settings import NANOSECONDS, new_stream, wanted_settings
from .stream import METADATA_KEY, Stream, describe, matches

logger = logging.getLogger(__name__)

METADATA_VALUE = "made by eventd"
METADATA_SINCE = (2, 10, 0)

LOOK_TIMEOUT = 5.0  # seconds for an answer about a stream that is known; its leader may be gone

STREAM_NOT_FOUND = 10059
SUBJECTS_OVERLAP = 10065
NAME_EXISTS = 10058


class StreamUnfit(NatsError):
    """The stream exists but cannot take the route's events, and we may not change it."""


async def stream_info(session: Session, name: str) -> dict[str, Any]:
    """Return JetStream's own description of a stream.

    Raises:
        ApiError: 10059 when there is none.
        RequestTimeout: Nobody answers.
    """
    try:
        return await session.ask(f"STREAM.INFO.{name}")
    except RequestTimeout as error:  # those who do not hold it say nothing
        raise RequestTimeout(
            f"no server answers about stream {name}: those that hold it may be down, or without a majority"
        ) from error


async def streams_for_subject(session: Session, subject: str) -> list[str]:
    """Return the names of the streams that take (part of) `subject`."""
    answer = await session.ask("STREAM.NAMES", {"subject": subject})
    return [str(name) for name in answer.get("streams") or []]


@dataclass(frozen=True, slots=True)
class Subjects:
    """What a route's stream has to take.

    Attributes:
        wide: Everything the route may ever publish, e.g. `openclaw.events.>`.
        needed: What it publishes now, a pattern per agent, e.g. `openclaw.events.main.>`.
        narrow: Whether the stream must list agents, because another stream lives below `wide`.
        known: Streams that needed ones may be taken away from: those of this daemon's routes, also of former
            ones. An eventd on another machine may have other routes, and streams of its own.
    """

    wide: str
    needed: tuple[str, ...] = ()
    narrow: bool = False
    known: frozenset[str] = frozenset()

    @property
    def wanted(self) -> tuple[str, ...]:
        """The subjects to ask for."""
        if self.narrow:
            return self.needed
        # Rows of an older configuration can lie outside.
        return (self.wide, *(pattern for pattern in self.needed if not matches(self.wide, pattern)))


async def ensure_stream(session: Session, route: Route, subjects: Subjects) -> Stream | None:
    """Return the stream that takes a route's events; make or adapt it where that is allowed.

    Returns None when it can only be made with the first event: a narrow stream lists agents, and none
    has anything to publish yet.

    Raises:
        StreamUnfit: It does not take the subjects, and is not ours to change.
        ApiError: JetStream refused.
    """
    try:
        info = await stream_info(session, route.stream)
    except ApiError as error:
        if error.err_code != STREAM_NOT_FOUND:
            raise
        return await _create(session, route, subjects)
    stream = describe(session.server_version, route, info)
    if stream.changeable:
        return await _adapt(session, route, stream, subjects)
    missing = _not_taken(stream, subjects.needed)
    if missing:
        _refuse(route, stream, subjects, missing)
    _note_differences(route, stream)
    return stream


def _refuse(route: Route, stream: Stream, subjects: Subjects, missing: list[str]) -> None:
    """Leave out what a stream does not take that is not ours to change.

    Where it lists agents of the route, one that is not listed must not hold up those that are. Where it takes
    none of them, it is the wrong stream.

    Raises:
        StreamUnfit: It is.
    """
    what = f"stream {stream.name} exists, was not made by eventd, and does not take {', '.join(missing)}"
    remedy = f"set manageStream: true, or add them: nats stream edit {stream.name} --subjects …"
    if route.shared_account:
        remedy = (
            "name the agents that have no entry: `eventd nats-config --mode users --agent NAME …` for "
            "the server's configuration, then the same with --make-streams"
        )
    if not any(matches(subjects.wide, taken) for taken in stream.subjects):
        raise StreamUnfit(what, hint=remedy)
    stream.refused = {
        pattern: f"stream {stream.name} does not take {pattern}; {remedy}; then `eventd deadletter retry`"
        for pattern in missing
    }


async def is_older(session: Session, stream: Stream, last_seq: int) -> bool:
    """Whether the stream is not the one that we looked at, or lost messages up to `last_seq` since.

    Who holds it is taken over into `stream`.

    Raises:
        ApiError: It is gone, or cannot be looked at.
        NoQuorum: Nothing can be stored in it now.
    """
    info = await session.ask(f"STREAM.INFO.{stream.name}", timeout=LOOK_TIMEOUT)
    stream.replicas = Replicas.of(info)
    stream.replicas.check(stream.name)
    return str(info["created"]) != stream.created or int(info["state"]["last_seq"]) < last_seq


async def _create(session: Session, route: Route, subjects: Subjects) -> Stream | None:
    if not subjects.wanted:
        return None
    config = new_stream(session.server_version, route, subjects.wanted)
    if session.server_version >= METADATA_SINCE:
        config["metadata"] = {METADATA_KEY: METADATA_VALUE}
    try:
        info = await session.api(f"STREAM.CREATE.{route.stream}", config)
    except ApiError as error:
        if error.err_code == NAME_EXISTS:  # somebody was faster
            return await ensure_stream(session, route, subjects)
        if error.err_code in REFUSALS:
            raise StreamUnfit(
                f"stream {route.stream} cannot be made with {placing(route.settings)}: {error}",
                hint=placing_remedy(error.err_code),
            ) from error
        if error.err_code != SUBJECTS_OVERLAP:
            raise
        return await _resolve_overlap(session, route, subjects, error)
    logger.info(
        "made the stream %s", route.stream,
        extra={"action": "stream_created", "stream": route.stream},
    )  # fmt: skip
    return describe(session.server_version, route, info)


async def _resolve_overlap(
    session: Session, route: Route, subjects: Subjects, cause: ApiError
) -> Stream | None:
    """Find room beside the stream in the way: below it, around it, or in it."""
    in_the_way = [name for subject in subjects.wanted for name in await streams_for_subject(session, subject)]
    if not in_the_way:
        raise cause
    if await _take_over(session, route, subjects):
        return await _create(session, route, subjects)
    owner = describe(session.server_version, route, await stream_info(session, in_the_way[0]))
    if not _not_taken(owner, subjects.wanted) and not set(owner.subjects) & set(subjects.wanted):
        if owner.ours:  # a wide stream of ours around us: make it list its agents
            await narrow(session, owner, keep_out=subjects.wanted)
            return await _create(session, route, subjects)
        owner.notes.append(
            f"events of route {route.name} go to stream {owner.name}: its subjects include theirs, so "
            f"{route.stream} cannot exist beside it, and eventd did not make {owner.name}"
        )
        return owner
    if not subjects.narrow:  # a stream inside of what we want: list our agents around it
        return await _create(session, route, replace(subjects, narrow=True))
    elsewhere = await _taken_elsewhere(session, route, route.stream, subjects.needed)
    if not elsewhere:
        raise StreamUnfit(
            f"stream {owner.name} takes part of what route {route.name} publishes: "
            f"{', '.join(subjects.wanted)}",
            hint=f"let {owner.name} list other subjects, or give the route another subjectPrefix",
        ) from cause
    left = tuple(p for p in subjects.needed if p not in elsewhere) or (_unused(route.stream),)
    made = await _create(session, route, replace(subjects, needed=left))
    return _with_elsewhere(made, elsewhere) if made else None


async def _take_over(session: Session, route: Route, subjects: Subjects) -> bool:
    """Let the streams of ours that take an agent's subjects do so no more, now that they are needed here.

    So they go along when an agent gets an entry or loses it, each stream having them until it has what was
    accepted for it (see `shipping.precedence`).

    Returns:
        Whether there was one.
    """
    taken = False
    for pattern in subjects.needed:
        for name in await streams_for_subject(session, pattern):
            if name == route.stream or name not in subjects.known:
                continue
            owner = describe(session.server_version, route, await stream_info(session, name))
            if not owner.ours:
                continue
            taken = True
            if pattern not in owner.subjects:  # among all that is below a prefix
                await narrow(session, owner, keep_out=(pattern,))
                continue
            left = [other for other in owner.subjects if other != pattern] or [_unused(name)]
            await session.api(f"STREAM.UPDATE.{name}", owner.config | {"subjects": left})
            logger.info(
                "stream %s takes %s no more: %s does now", name, pattern, route.stream,
                extra={"action": "subjects_handed_over", "stream": name, "subjects": pattern},
            )  # fmt: skip
    return taken


async def _taken_elsewhere(
    session: Session, route: Route, own: str, patterns: Iterable[str]
) -> dict[str, Stream]:
    """Return which patterns another stream takes whole, with that stream.

    They are those of an agent whose stream stands or stood in the configuration: what this route still
    has of that agent goes there, so that the others need not wait for somebody to sort it out.
    """
    elsewhere = {}
    for pattern in patterns:
        for name in await streams_for_subject(session, pattern):
            if name == own:
                continue
            stream = describe(session.server_version, route, await stream_info(session, name))
            if not _not_taken(stream, [pattern]):
                elsewhere[pattern] = stream
    return elsewhere


def _with_elsewhere(stream: Stream, elsewhere: dict[str, Stream]) -> Stream:
    stream.elsewhere = elsewhere
    stream.notes += [
        f"events on {pattern} go to stream {other.name}, which takes these; should it lose them, they are "
        f"not repaired from here"
        for pattern, other in elsewhere.items()
    ]
    return stream


def _placeholder(pattern: str) -> str:
    """Return a subject that nothing is ever published on: a stream has to take something."""
    return f"{pattern.removesuffix('.>')}._.>"


def _unused(stream: str) -> str:
    """Return the same for a stream that has no agent of its own, where others have all below the prefix."""
    return f"eventd.unused.{encode_token(stream)}"


async def narrow(session: Session, stream: Stream, keep_out: Sequence[str], also: Iterable[str] = ()) -> None:
    """Replace the wide patterns of a stream by one per agent that it already holds, and those in `also`."""
    wide = [p for p in stream.subjects if any(matches(p, s) for s in keep_out)]
    answer = await session.api(f"STREAM.INFO.{stream.name}", {"subjects_filter": ">"})
    held = (answer.get("state") or {}).get("subjects") or {}
    narrow = list(dict.fromkeys([p for p in stream.subjects if p not in wide] + list(also)))
    for pattern in wide:
        depth = len(pattern.split(".")) - 1
        for subject in held:
            tokens = subject.split(".")
            agent = ".".join([*tokens[: depth + 1], ">"])
            taken = any(matches(s, subject) for s in keep_out)
            if matches(pattern, subject) and not taken and len(tokens) > depth + 1 and agent not in narrow:
                narrow.append(agent)
        if not narrow:
            narrow.append(_placeholder(pattern))
    await session.api(f"STREAM.UPDATE.{stream.name}", stream.config | {"subjects": narrow})
    logger.info(
        "stream %s now lists its agents, to leave room for another stream below its prefix", stream.name,
        extra={"action": "stream_narrowed", "stream": stream.name, "subjects": narrow},
    )  # fmt: skip


async def _adapt_in_place(
    session: Session, route: Route, stream: Stream, subjects: Subjects, refusal: ApiError
) -> Stream:
    """Leave a stream where it lies, which is better than to ship nothing; adapt the rest of it."""
    steps: tuple[Collection[str], ...] = (KEYS,)
    if refusal.err_code == MOVE_AND_SCALE:
        steps = (("num_replicas",), ("placement",), KEYS)  # one of both may be possible without the other
    for untouched in steps:
        try:
            stream = await _adapt(session, route, stream, subjects, untouched)
            break
        except ApiError as error:
            if untouched is KEYS or error.err_code not in REFUSALS:
                raise
    stream.unplaced = True
    stream.notes.append(
        f"stream {stream.name} cannot have {placing(route.settings)} now: {refusal}; it has "
        f"{stream.config.get('num_replicas', 1)}; {placing_remedy(refusal.err_code)}"
    )
    return stream


async def _adapt(
    session: Session,
    route: Route,
    stream: Stream,
    subjects: Subjects,
    untouched: Collection[str] = (),
) -> Stream:
    """Bring a stream that we may change to what the configuration says, but for some of its settings."""
    change = {
        k: v
        for k, v in wanted_settings(session.server_version, route.settings).items()
        if stream.config.get(k) != v and k not in untouched
    }
    if _not_taken(stream, subjects.wanted):
        outdated = _unused(stream.name)
        kept = [
            p for p in stream.subjects if p != outdated and not any(matches(w, p) for w in subjects.wanted)
        ]
        change["subjects"] = [*kept, *subjects.wanted]
    if not change:
        return stream
    try:
        info = await session.api(f"STREAM.UPDATE.{stream.name}", stream.config | change)
    except ApiError as error:
        if error.err_code in REFUSALS and change.keys() & KEYS and not untouched:
            return await _adapt_in_place(session, route, stream, subjects, error)
        if error.err_code != SUBJECTS_OVERLAP:
            raise
        if await _take_over(session, route, subjects):
            return await _adapt(session, route, stream, subjects, untouched)
        if not subjects.narrow:  # another stream lives below: go on listing agents
            return await _adapt(session, route, stream, replace(subjects, narrow=True), untouched)
        elsewhere = await _taken_elsewhere(session, route, stream.name, _not_taken(stream, subjects.needed))
        if elsewhere:
            left = tuple(p for p in subjects.needed if p not in elsewhere)
            adapted = await _adapt(session, route, stream, replace(subjects, needed=left), untouched)
            return _with_elsewhere(adapted, elsewhere)
        raise StreamUnfit(
            f"stream {stream.name} cannot take {', '.join(subjects.wanted)}: another stream has part of it",
            hint="see `nats stream ls --subjects`; give the routes prefixes that do not overlap",
        ) from error
    logger.info(
        "changed %s of stream %s", ", ".join(sorted(change)), stream.name,
        extra={"action": "stream_updated", "stream": stream.name, "changed": sorted(change)},
    )  # fmt: skip
    return describe(session.server_version, route, info)


def _not_taken(stream: Stream, patterns: Iterable[str]) -> list[str]:
    return [p for p in patterns if not any(matches(taken, p) for taken in stream.subjects)]


def _note_differences(route: Route, stream: Stream) -> None:
    if not stream.atomic:
        stream.notes.append(
            f"stream {stream.name} takes no atomic batches, so shipping is slower; to allow them: "
            "nats-server 2.12.1 or newer and allow_atomic, or manageStream: true"
        )
    if not stream.ttl:
        stream.notes.append(
            f"stream {stream.name} takes no per-message TTL, so memory.* and migration.* events expire with "
            "the rest; allow_msg_ttl (nats-server 2.11 or newer) keeps them"
        )
    if stream.config.get("num_replicas", 1) < route.settings.replicas:
        stream.notes.append(
            f"stream {stream.name} has {stream.config.get('num_replicas', 1)} replicas, "
            f"{route.settings.replicas} are configured, and eventd did not make it: "
            f"`nats stream edit {stream.name} --replicas {route.settings.replicas}`, or manageStream: true"
        )
    if stream.config.get("max_age", 0) != int(route.settings.max_age * NANOSECONDS):
        age = stream.config.get("max_age", 0) / NANOSECONDS / 86400
        stream.notes.append(
            f"stream {stream.name} keeps events for {age:g} days, which is not what is configured"
        )
