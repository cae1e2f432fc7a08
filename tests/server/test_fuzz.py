"""Fuzzing the socket. The invariant: bytes parse, or get one typed error; and nobody else notices."""

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventd_ipc.codec import encode
from eventd_ipc.errors import CODES
from eventd_ipc.messages import Ack, Credit, Emit, Error, Get, Hello, Ping, Pong, Status, Tail, Welcome
from server.support import Client, emit, event, framed, serving

pytestmark = pytest.mark.anyio

SEED = 20260101
ROUNDS = 3000
GREETING = encode(Hello(protocol=1, agent="main"))
SAMPLES = [
    GREETING,
    encode(Ping(1)),
    encode(Status(2)),
    encode(Get(3, event="e1")),
    encode(Tail(4, last=3)),
    encode(Credit(4, 3)),
    encode(emit(5)),
    encode(
        Emit(6, [event(payload={"a": [1, 2.5, None, True, {"b": "text"}]}), event(session="agent:main:x")])
    ),
    framed(msgspec.msgpack.encode({"op": "emit", "id": 7, "events": "no list"})),
]


def mutate(choice: random.Random) -> bytes:
    """Return frames as a broken or hostile client would send them."""
    data = bytearray(b"".join(choice.choices(SAMPLES, k=choice.randint(1, 6))))
    for _ in range(choice.randint(0, 8)):
        at = choice.randrange(len(data)) if data else 0
        match choice.randrange(5):
            case 0:
                data[at : at + 1] = bytes([choice.randrange(256)])
            case 1:
                del data[at : at + choice.randint(1, 20)]
            case 2:
                data[at:at] = choice.randbytes(choice.randint(1, 20))
            case 3:
                data[at:at] = data[: choice.randint(1, 60)]
            case 4:
                del data[at:]
    return bytes(data)


def framed_junk(choice: random.Random) -> bytes:
    """Return sound frames with junk in them."""
    junk: list[Any] = [
        choice.randbytes(choice.randint(0, 50)),
        msgspec.msgpack.encode({choice.choice(["op", "id", "events"]): choice.randint(-(2**63), 2**64 - 1)}),
        msgspec.msgpack.encode(
            {"op": choice.choice(["emit", "get", "tail", "x" * 99]), "id": choice.choice([1, "1", None, -1])}
        ),
        b"\x91" * choice.randint(1, 5000),
        msgspec.msgpack.encode({"op": "emit", "id": 1, "events": [choice.randbytes(9), [], {}, None]}),
    ]
    return b"".join(framed(choice.choice(junk)) for _ in range(choice.randint(1, 5)))


async def test_whatever_comes_in_parses_or_is_one_typed_error(short_tmp: Path) -> None:
    """Each visitor gets sound replies to its end, at most one of which ends the connection, and the last."""
    choice = random.Random(SEED)
    async with serving(short_tmp, max_frame=64 * 1024) as running, await running.client() as witness:
        for number in range(ROUNDS):
            sent = choice.choice([mutate, framed_junk])(choice)
            if choice.random() < 0.7:
                sent = GREETING + sent
            async with await Client.connect(running.path) as visitor:
                await visitor.send_raw(sent)
                await visitor.stream.send_eof()
                replies = await visitor.rest()
            errors = [reply for reply in replies if isinstance(reply, Error)]
            assert {error.code for error in errors} <= CODES.keys() - {"internal"}, sent
            farewells = [error for error in errors if error.id is None]
            assert farewells in ([], replies[-1:]), sent
            assert sum(isinstance(reply, Welcome) for reply in replies) <= 1
            await witness.send(Ping(number), emit(number, event(id=f"w{number}")))
            assert await witness.reply() == Pong(number)
            assert await witness.reply() == Ack(number, [f"w{number}"])
