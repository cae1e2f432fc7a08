"""What an agent may try against its neighbour, by plain nats-py and its own login.

Each attack returns what it got, or raises `Denied`. That something was denied is never concluded from silence
alone: the server has said so, or JetStream has refused, or the neighbour's message has demonstrably gone by.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nats.aio.msg import Msg

from .parties import TIMEOUT, Connection, Denied, Json, Party, connect

DELIVERY = 1.0  # seconds for the server to deliver or to copy what it is known to have
LOOKS = 50  # within it

FORGED = b'{"id": "forged", "type": "note", "payload": {"text": "not by the neighbour"}}'


@dataclass(slots=True)
class Scene:
    """Who attacks whom.

    Attributes:
        mine: The attacker.
        theirs: The neighbour; its own connection, by which it goes on working.
        secret: The body of an event in the neighbour's stream.
    """

    mine: Connection
    theirs: Connection
    secret: bytes

    @property
    def target(self) -> Party:
        """The neighbour."""
        return self.theirs.party

    async def neighbour_works(self) -> None:
        """Let the neighbour publish, be answered, and read."""
        await self.theirs.ask(self.target.event, self.secret)
        await self.theirs.api(f"STREAM.MSG.GET.{self.target.stream}", {"seq": 1})


@asynccontextmanager
async def scene_of(url: str, mine: Party, theirs: Party) -> AsyncIterator[Scene]:
    """Let two agents connect to a server: the attacker, and its neighbour."""
    scene = Scene(await connect(url, mine), await connect(url, theirs), b"a secret")
    yield scene
    await scene.mine.client.close()
    await scene.theirs.client.close()


Attack = Callable[[Scene], Awaitable[object]]

ATTACKS: dict[str, Attack] = {}
"""All attacks, by their names."""


def attack(function: Attack) -> Attack:
    """Add an attack to the list."""
    ATTACKS[function.__name__] = function
    return function


def _consumer(stream: str, name: str, **config: object) -> Json:
    plain = {"name": name, "ack_policy": "none", "deliver_policy": "all", "mem_storage": True}
    return {"stream_name": stream, "config": plain | config}


async def _overheard(came: "asyncio.Queue[Msg]", scene: Scene) -> Msg:
    """Return a message of the neighbour's; that none came counts once its own traffic has gone by."""
    await scene.neighbour_works()
    await scene.mine.client.flush()

    async def look() -> Msg | None:
        while not came.empty():
            message = came.get_nowait()
            if scene.target.owns(message.subject):
                return message
        return None

    if (found := await _soon(look)) is None:
        raise Denied("nothing came, although the neighbour worked")
    return found


@attack
async def read_by_a_pull_consumer(scene: Scene) -> object:
    stream = scene.target.stream
    await scene.mine.api(f"CONSUMER.CREATE.{stream}.spy", _consumer(stream, "spy"))
    return (await scene.mine.pull(stream, "spy")).data


@attack
async def read_by_a_durable_consumer(scene: Scene) -> object:
    stream = scene.target.stream
    durable = _consumer(stream, "spy2", durable_name="spy2")
    await scene.mine.api(f"CONSUMER.DURABLE.CREATE.{stream}.spy2", durable)
    return (await scene.mine.pull(stream, "spy2")).data


@attack
async def read_by_a_push_consumer(scene: Scene) -> object:
    stream, inbox = scene.target.stream, scene.mine.new_inbox()
    came = await scene.mine.listen(inbox)
    await scene.mine.api(f"CONSUMER.CREATE.{stream}.push", _consumer(stream, "push", deliver_subject=inbox))
    return (await asyncio.wait_for(came.get(), TIMEOUT)).data


@attack
async def read_by_a_consumer_of_ones_own_that_names_the_other_stream(scene: Scene) -> object:
    own = scene.mine.party.stream
    return await scene.mine.api(f"CONSUMER.CREATE.{own}.x", _consumer(scene.target.stream, "x"))


@attack
async def read_by_sequence(scene: Scene) -> object:
    return await scene.mine.api(f"STREAM.MSG.GET.{scene.target.stream}", {"seq": 1})


@attack
async def read_the_last_of_a_subject(scene: Scene) -> object:
    return await scene.mine.api(
        f"STREAM.MSG.GET.{scene.target.stream}", {"last_by_subj": f"{scene.target.subject}.>"}
    )


@attack
async def read_directly(scene: Scene) -> object:
    return (await scene.mine.ask(f"$JS.API.DIRECT.GET.{scene.target.stream}", b'{"seq": 1}')).data


@attack
async def read_the_last_of_a_subject_directly(scene: Scene) -> object:
    stream, subject = scene.target.stream, scene.target.event
    return (await scene.mine.ask(f"$JS.API.DIRECT.GET.{stream}.{subject}")).data


@attack
async def read_a_batch_directly(scene: Scene) -> object:
    many = json.dumps({"multi_last": [f"{scene.target.subject}.>"], "batch": 10}).encode()
    return (await scene.mine.ask(f"$JS.API.DIRECT.GET.{scene.target.stream}", many)).data


@attack
async def read_by_a_mirror(scene: Scene) -> object:
    mirror = {"name": "mirror", "mirror": {"name": scene.target.stream}}
    await scene.mine.api("STREAM.CREATE.mirror", mirror)
    return await _copied("mirror", scene)


@attack
async def read_by_a_new_stream_with_a_source(scene: Scene) -> object:
    sourced = {"name": "sourced", "sources": [{"name": scene.target.stream}]}
    await scene.mine.api("STREAM.CREATE.sourced", sourced)
    return await _copied("sourced", scene)


@attack
async def read_by_a_source_of_ones_own_stream(scene: Scene) -> object:
    """Where one may update one's own stream, it has to come from there."""
    own = scene.mine.party.stream
    config = (await scene.mine.api(f"STREAM.INFO.{own}"))["config"]
    sources = {"sources": [{"name": scene.target.stream}]}
    await scene.mine.api(f"STREAM.UPDATE.{own}", config | sources)
    return await _copied(own, scene)


async def _copied(stream: str, scene: Scene) -> object:
    """Return the last of the neighbour's messages in a stream of one's own."""
    wanted = {"last_by_subj": scene.target.event}

    async def copy() -> object:
        try:
            return await scene.mine.api(f"STREAM.MSG.GET.{stream}", wanted)
        except Denied:
            return None

    found = await _soon(copy)
    if found is None:
        raise Denied(f"the stream {stream} has none of the neighbour's messages")
    return found


async def _soon[R](look: Callable[[], Awaitable[R]]) -> R | None:
    """Return what a look finds within `DELIVERY`, else None."""
    for _ in range(LOOKS):
        if found := await look():
            return found
        await asyncio.sleep(DELIVERY / LOOKS)
    return None


@attack
async def read_a_snapshot(scene: Scene) -> object:
    inbox = scene.mine.new_inbox()
    came = await scene.mine.listen(inbox)
    await scene.mine.api(f"STREAM.SNAPSHOT.{scene.target.stream}", {"deliver_subject": inbox})
    return (await asyncio.wait_for(came.get(), TIMEOUT)).data


@attack
async def listen_to_events(scene: Scene) -> object:
    return await _overheard(await scene.mine.listen(f"{scene.target.subject}.>"), scene)


@attack
async def listen_to_everything(scene: Scene) -> object:
    return await _overheard(await scene.mine.listen(">"), scene)


@attack
async def listen_to_answers(scene: Scene) -> object:
    return await _overheard(await scene.mine.listen(f"{scene.target.inbox}.>"), scene)


@attack
async def listen_to_all_answers(scene: Scene) -> object:
    return await _overheard(await scene.mine.listen("_INBOX.>"), scene)


@attack
async def listen_to_acks_and_flow_control(scene: Scene) -> object:
    """Where nothing is denied, the neighbour's own acks have to go by."""
    came = [await scene.mine.listen(f"$JS.{kind}.>") for kind in ("ACK", "FC")]
    stream = scene.target.stream
    made = _consumer(stream, "acked", ack_policy="explicit")
    await scene.theirs.api(f"CONSUMER.CREATE.{stream}.acked", made)
    message = await scene.theirs.pull(stream, "acked")
    await scene.theirs.client.publish(message.reply, b"+ACK")
    return await _overheard(came[0], scene)


@attack
async def list_names(scene: Scene) -> object:
    return _named((await scene.mine.api("STREAM.NAMES"))["streams"], scene)


@attack
async def list_streams(scene: Scene) -> object:
    streams = (await scene.mine.api("STREAM.LIST"))["streams"]
    return _named([stream["config"]["name"] for stream in streams], scene)


@attack
async def describe_the_stream(scene: Scene) -> object:
    return await scene.mine.api(f"STREAM.INFO.{scene.target.stream}")


@attack
async def list_consumers(scene: Scene) -> object:
    return await scene.mine.api(f"CONSUMER.NAMES.{scene.target.stream}")


def _named(names: list[str], scene: Scene) -> list[str]:
    """Return names with the neighbour's stream among them; one's own may be listed."""
    if scene.target.stream not in names:
        raise Denied("the neighbour's stream is not among them")
    return names


@attack
async def publish_as_the_neighbour(scene: Scene) -> object:
    """It has to be stored in the neighbour's stream."""
    ack = json.loads((await scene.mine.ask(scene.target.event, b"forged")).data)
    if ack.get("stream") != scene.target.stream:
        raise Denied(str(ack))
    return ack


@attack
async def let_a_trace_be_published(scene: Scene) -> object:
    """A message that is traced makes the server publish reports on a subject of the sender's choice."""
    before = await _last(scene)
    await scene.mine.publish(scene.mine.party.event, b"traced", **{"Nats-Trace-Dest": scene.target.event})
    await scene.mine.client.flush()
    if await _last(scene) == before:
        raise Denied("no report is in the neighbour's stream")
    return "stored"


@attack
async def take_the_subjects_with_a_stream_of_ones_own(scene: Scene) -> object:
    wanted = {"name": "greedy", "subjects": [f"{scene.target.subject}.greedy.>"]}
    answer = await scene.mine.api("STREAM.CREATE.greedy", wanted)
    ack = json.loads((await scene.theirs.ask(f"{scene.target.subject}.greedy.note", b"caught")).data)
    if ack.get("stream") != "greedy":
        raise Denied("the neighbour's events go where they went")
    return answer


@attack
async def change_the_stream(scene: Scene) -> object:
    stream = scene.target.stream
    return await scene.mine.api(
        f"STREAM.UPDATE.{stream}", {"name": stream, "subjects": [f"{scene.target.subject}.>"], "max_msgs": 1}
    )


@attack
async def delete_a_message(scene: Scene) -> object:
    return await scene.mine.api(f"STREAM.MSG.DELETE.{scene.target.stream}", {"seq": 1})


@attack
async def purge_the_stream(scene: Scene) -> object:
    return await scene.mine.api(f"STREAM.PURGE.{scene.target.stream}")


@attack
async def purge_by_an_answer(scene: Scene) -> object:
    """A reply subject is no request: the API does not hear what JetStream publishes."""
    return await _destroy_by_an_answer(scene, f"$JS.API.STREAM.PURGE.{scene.target.stream}")


@attack
async def delete_by_an_answer(scene: Scene) -> object:
    return await _destroy_by_an_answer(scene, f"$JS.API.STREAM.DELETE.{scene.target.stream}")


async def _destroy_by_an_answer(scene: Scene, reply: str) -> object:
    own = scene.mine.party.stream
    await scene.mine.ask(scene.mine.party.event)  # an empty body, as these requests have
    name = secrets.token_hex(4)
    await scene.mine.api(f"CONSUMER.CREATE.{own}.{name}", _consumer(own, name))
    await scene.mine.publish(f"$JS.API.CONSUMER.MSG.NEXT.{own}.{name}", b'{"batch": 1}', reply)
    await scene.mine.publish(scene.mine.party.event, b"", reply)
    try:
        await scene.neighbour_works()
    except Denied:
        return "the neighbour's stream is gone, or empty"
    raise Denied("the neighbour's first event is still there")


@attack
async def delete_the_stream(scene: Scene) -> object:
    return await scene.mine.api(f"STREAM.DELETE.{scene.target.stream}")


async def _last(scene: Scene) -> int:
    info = await scene.theirs.api(f"STREAM.INFO.{scene.target.stream}")
    return int(info["state"]["last_seq"])


async def run(attack_of: Attack, scene: Scene) -> object:
    """Return what an attack got, or None where it was denied."""
    try:
        return await attack_of(scene) or "an empty answer"
    except Denied:
        return None


async def inject(scene: Scene, way: str) -> list[Json]:
    """Let the server put something into the neighbour's stream by a reply subject; return what is new there.

    Args:
        scene: Who attacks whom.
        way: `ack` of a publish; `pull`, a delivery of one's own message; `push`, the same by a consumer with
            that deliver subject, to which somebody happens to listen.
    """
    mine, target = scene.mine, scene.target
    own, name = mine.party.stream, secrets.token_hex(4)
    goal = f"{target.subject}.injected"
    before = await _last(scene)
    await scene.theirs.listen(goal)
    await mine.publish(mine.party.event, FORGED, goal if way == "ack" else "")
    if way == "pull":
        await mine.api(f"CONSUMER.CREATE.{own}.{name}", _consumer(own, name, deliver_policy="last"))
        await mine.publish(f"$JS.API.CONSUMER.MSG.NEXT.{own}.{name}", b'{"batch": 1}', goal)
    elif way == "push":
        push = _consumer(own, name, deliver_policy="last", deliver_subject=goal)
        await mine.api(f"CONSUMER.CREATE.{own}.{name}", push)

    async def added() -> list[Json]:
        after = await _last(scene)
        get = f"STREAM.MSG.GET.{target.stream}"
        answers = [await scene.theirs.api(get, {"seq": seq}) for seq in range(before + 1, after + 1)]
        return [answer["message"] for answer in answers]

    await _soon(added)
    return await added()
