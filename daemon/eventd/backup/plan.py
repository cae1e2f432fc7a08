"""What a restore is going to do: for each stream of a backup where it goes, and how."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import anyio

from ..config.settings import Config
from ..errors import ConfigError, NatsError
from ..jetstream.session import ApiError, Session
from ..jetstream.snapshots import SnapshotFailed, StreamState
from ..jetstream.stream import METADATA_KEY
from ..jetstream.streams import STREAM_NOT_FOUND, stream_info
from ..subjects import encode_token
from .manifest import Generation, Manifest, Part, StreamEntry, told
from .places import Place, Servers, places

PUT_BACK_TRIES = 20
PUT_BACK_PAUSE = 0.2  # seconds between two of them

How = Literal["snapshot", "events", "none"]


@dataclass(slots=True)
class Step:
    """What is done about a stream.

    Attributes:
        generation: Which of the backup.
        place: The stream that it goes to; None where no route goes there.
        how: `snapshot`: the stream is made from it, with its sequences; `events`: those that are missing are
            put in one by one; `none`: it cannot be restored.
        why: Why not, or why that way.
    """

    entry: StreamEntry
    generation: Generation
    place: Place | None
    how: How
    why: str = ""

    @property
    def parts(self) -> list[Part]:
        """The files of the stream."""
        return self.generation.parts

    @property
    def events(self) -> int:
        """Messages in them."""
        return sum(part.events or 0 for part in self.parts)

    @property
    def bytes(self) -> int:
        """Bytes of them."""
        return sum(part.bytes for part in self.parts)


async def make_plan(
    manifest: Manifest,
    config: Config,
    servers: Servers,
    renamed: Mapping[str, str],
    *,
    earlier: bool = False,
) -> list[Step]:
    """Decide about every stream of a backup. Nothing is changed.

    Args:
        renamed: Names that streams have here, by the names that they had.
        earlier: Take the generation before the newest one, of streams that have one.
    """
    there = places(config)
    steps = []
    for entry in manifest.streams:
        number = -2 if earlier and len(entry.generations) > 1 else -1
        step = Step(entry, entry.generations[number], None, "none")
        step.place, step.why = _place(there, entry, renamed)
        if step.place is not None:
            await _decide(step, step.place, servers)
        steps.append(step)
    return steps


def _place(
    there: Sequence[Place], entry: StreamEntry, renamed: Mapping[str, str]
) -> tuple[Place | None, str]:
    """Return the stream here that one of the backup goes to, and why there is none."""
    name = renamed.get(entry.name, entry.name)
    named = [place for place in there if place.name == name]
    found = next((place for place in named if place.account == entry.account), None)
    if found is None and len(named) == 1:
        found = named[0]
    if found is not None:
        return found, ""
    if named:
        return None, f"several routes have a stream {name}, and none is that of agent {entry.account}"
    return None, f"no route of the configuration goes to stream {name}; --stream {entry.name}=NAME names one"


async def _decide(step: Step, place: Place, servers: Servers) -> None:
    step.how = "events"
    if step.parts[0].kind != "snapshot":
        step.why = "the backup has its messages, and no snapshot"
        return
    if place.name != step.entry.name:
        step.why = "it has another name here"
        return
    try:
        async with servers.session(place.route) as session:
            step.why = await refusal_of(session, place.name)
    except (NatsError, ConfigError) as error:
        step.how, step.why = "none", told(error)
        return
    if not step.why:
        step.how = "snapshot"


async def refusal_of(session: Session, stream: str) -> str:
    """Return why a stream cannot be made from a snapshot; "" where it is missing, or ours and unused."""
    try:
        info = await stream_info(session, stream)
    except ApiError as error:
        if error.err_code == STREAM_NOT_FOUND:
            return ""
        raise
    if StreamState.of(info["state"]).last_seq:
        return "the stream is in use, and is left as it is"
    if METADATA_KEY not in (info["config"].get("metadata") or {}):
        return "the stream is there, and was not made by eventd"
    return ""


async def make_room(session: Session, stream: str) -> dict[str, Any] | None:
    """Delete a stream of ours that never held anything; return its configuration, None where there is none.

    It takes nothing from before the last look until it is gone: so nothing can be in it that is deleted.

    Raises:
        SnapshotFailed: It is in use by now.
    """
    try:
        config: dict[str, Any] = (await stream_info(session, stream))["config"]
    except ApiError as error:
        if error.err_code == STREAM_NOT_FOUND:
            return None
        raise
    unused = {"subjects": [f"eventd.unused.{encode_token(stream)}"]}
    await session.api(f"STREAM.UPDATE.{stream}", config | unused)
    if why := await refusal_of(session, stream):
        await session.api(f"STREAM.UPDATE.{stream}", config)
        raise SnapshotFailed(why)
    await session.api(f"STREAM.DELETE.{stream}")
    return config


async def put_back(session: Session, config: Mapping[str, Any]) -> None:
    """Make a stream again that has made room in vain. The daemon, with events to ship, may be faster."""
    for _ in range(PUT_BACK_TRIES):  # the server may still be removing its files
        with suppress(ApiError):
            await session.api(f"STREAM.CREATE.{config['name']}", config)
            return
        if await refusal_of(session, config["name"]):  # it is there, and in use
            return
        await anyio.sleep(PUT_BACK_PAUSE)
