"""PROTOCOL.md and the code say the same, to the byte: each vector, message, key, code and number in it."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec
import pytest

from eventd.config.settings import OutboxSettings, SocketSettings
from eventd.ingest import admission
from eventd.reading import remembering, replay
from eventd.server import connection, listener
from eventd.server.settings import ServerSettings
from eventd_ipc import backoff, eventlog, sender, strict
from eventd_ipc.codec import NEED_DATA, FrameDecoder, decode_reply, decode_request, encode
from eventd_ipc.errors import CODES, ClientAction
from eventd_ipc.events import Event
from eventd_ipc.messages import PROTOCOL, Emit, Limits, Reply, Request, Welcome

DOCUMENT = (Path(__file__).parents[2] / "ipc" / "PROTOCOL.md").read_text(encoding="utf-8")
SERVER = ServerSettings()
OUTBOX = OutboxSettings()
KIB = 1024
MIB = 1024 * KIB


class Vector(NamedTuple):
    """A fenced block of the document."""

    name: str
    sender: str
    shown: str
    frame: bytes


def read_vectors() -> list[Vector]:
    vectors = []
    for block in re.findall(r"^```vector\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE):
        lines = [line.partition(": ")[::2] for line in block.splitlines()]
        assert [key for key, _ in lines[:3]] == ["name", "from", "json"]
        assert {key for key, _ in lines[3:]} == {"hex"}
        name, sent_by, shown, *digits = [value for _, value in lines]
        vectors.append(Vector(name, sent_by, shown, bytes.fromhex("".join(digits))))
    return vectors


VECTORS = read_vectors()
MESSAGES = [*get_args(Request), *get_args(Reply)]


def decode(vector: Vector) -> Request | Reply:
    decoder = FrameDecoder()
    decoder.feed(vector.frame)
    body = decoder.next_frame()
    assert body is not NEED_DATA
    assert decoder.buffered == 0
    return {"client": decode_request, "server": decode_reply}[vector.sender](body)


def spaced(number: int) -> str:
    """A number as the document writes it."""
    return f"{number:,}".replace(",", " ")


def as_shown(value: Any) -> Any:
    """What the document writes for what was on the wire."""
    match value:
        case bytes():
            return {"bin": value.hex()}
        case dict():
            return {key: as_shown(item) for key, item in value.items()}
        case list():
            return [as_shown(item) for item in value]
    return value


vectors = pytest.mark.parametrize("vector", VECTORS, ids=[vector.name for vector in VECTORS])


@vectors
def test_vector_shows_what_its_bytes_say(vector: Vector) -> None:
    """Also the order of the keys."""
    on_the_wire = as_shown(msgspec.msgpack.decode(vector.frame[4:]))
    assert json.dumps(on_the_wire, ensure_ascii=False) == vector.shown


@vectors
def test_vector_is_encoded_byte_by_byte(vector: Vector) -> None:
    assert encode(decode(vector)) == vector.frame


@vectors
def test_events_of_a_vector_are_good_ones(vector: Vector) -> None:
    message = decode(vector)
    for raw in message.events if isinstance(message, Emit) else ():
        strict.decode_event(raw)


def test_every_message_has_a_vector() -> None:
    shown = {type(decode(vector)) for vector in VECTORS}
    assert shown == set(MESSAGES)


@pytest.mark.parametrize(
    ("struct", "begin", "end"),
    [
        *((message, f"**{message.__struct_config__.tag}**", "```vector") for message in MESSAGES),
        (Limits, "## Limits", "##"),
        (Event, "### Events", "##"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_key_is_described_where_its_message_is(
    struct: type[msgspec.Struct], begin: str, end: str
) -> None:
    """By its name on the wire. What the `id` of requests and replies is, is said once for all."""
    section = DOCUMENT.partition(begin)[2].partition(end)[0]
    assert section
    for key in struct.__struct_encode_fields__:
        assert key == "id" or f"`{key}`" in section, key


def test_every_code_is_in_the_table_as_it_is_in_the_code() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| (yes|no) \| (yes|no) \| ([a-z ]+) \|$", DOCUMENT, re.MULTILINE
    )
    documented = {code: (retryable, closes, action) for code, retryable, closes, action in rows}
    assert documented == {
        code: (
            "yes" if info.retryable else "no",
            "yes" if info.closes_connection else "no",
            info.action.name.lower().replace("_", " "),
        )
        for code, info in CODES.items()
    }


@pytest.mark.parametrize("action", ClientAction)
def test_every_action_is_explained_as_in_the_code(action: ClientAction) -> None:
    assert f"- **{action.name.lower().replace('_', ' ')}**: {action.value}." in DOCUMENT


@pytest.mark.parametrize(
    "sentence",
    [
        f"version {PROTOCOL}",
        f"A pause grows from {backoff.FIRST:g} s to {backoff.LONGEST:g} s",
        f"the longest pause is {sender.LATER:g} s",
        f"that does not come within {sender.TIMEOUT:g} s",
        f"at most {eventlog.MAX_EVENTS:,} events and {eventlog.MAX_BYTES // MIB} MiB".replace(",", " "),
        f"An emit has at most {sender.EMIT_EVENTS} events and {sender.EMIT_BYTES // KIB} KiB",
        f"at most {sender.ROUND} are under way",
        f"more than {strict.MAX_DEPTH} levels",
        f"at most {strict.MAX_TYPE} bytes",
        f"1 to {strict.MAX_ID} printable ASCII",
        f"1 to {strict.MAX_AGENT} bytes, printable",
        f"1 to {strict.MAX_SESSION} bytes",
        f"| `maxFrame` | {SERVER.max_frame // MIB} MiB |",
        f"| `maxEvent` | {SERVER.max_event // MIB} MiB, as the JSON",
        f"| `maxEvents` | {SERVER.max_events} events of an emit |",
        f"| `maxInFlight` | {SERVER.max_in_flight // MIB} MiB of emits without a reply |",
        f"together may have {SERVER.max_in_flight_total // MIB} MiB so",
        f"its JSON and {connection.ROW_COST} bytes",
        f"{SERVER.max_connections} connections (`too_many_connections`)",
        f"{SERVER.hello_timeout:g} s for the `hello`",
        f"`hello`, once, within {SERVER.hello_timeout:g} s",
        f"and {connection.MAX_HELLO // KIB} KiB for `hello`",
        f"{SERVER.max_streams} open streams of events",
        f"Most hits, from 1 to {remembering.MAX_HITS}",
        f"after each hit are shown with it, at most {remembering.MAX_AROUND}",
        f"whole up to {remembering.SHOWN} characters",
        f"Most characters of the block, up to {spaced(remembering.MAX_BUDGET)} |",
        f"from the newest one; up to {spaced(remembering.MAX_HOURS)} |",
        f"events that are looked at, up to {spaced(remembering.MAX_EVENTS)} |",
        f"`{replay.ORIGIN}`",
        f"{SERVER.max_requests} other requests under way",
        f"{admission.MAX_SHRINKING} times `maxEvent`",
        f"takes no reply for {SERVER.stall_timeout:g} s",
        f"The socket has the mode {listener.MODE:04o}",
        f"for {OUTBOX.ledger_age / 86400:g} days, but only",
        f"among the newest {spaced(OUTBOX.ledger_ids)} ids",
    ],
)
def test_number_in_the_text_is_the_one_in_the_code(sentence: str) -> None:
    assert " ".join(sentence.split()) in " ".join(DOCUMENT.split())


def test_welcome_of_the_vectors_has_the_limits_of_the_server() -> None:
    shown = [message for message in map(decode, VECTORS) if isinstance(message, Welcome)]
    assert [welcome.limits for welcome in shown] == [SERVER.limits] * 2


def test_defaults_of_the_configuration_are_those_of_the_server() -> None:
    """Two places have these numbers; the document has them once."""
    about_the_file = ("path", "mode", "group")
    configured = {
        name: value for name, value in asdict(SocketSettings()).items() if name not in about_the_file
    }
    assert configured == {name: getattr(SERVER, name) for name in configured}
