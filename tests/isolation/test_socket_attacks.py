"""Attacks on the socket of a daemon with rules: each is refused, leaves nothing, and disturbs nobody."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from eventd.access.tokens import TokenFolder, digest_of
from eventd.paths import token_folder
from eventd.secret import HASHED
from eventd_ipc.blocking import connect
from isolation.socket_support import ALL_IS_LOGGED, Message, Wire, audited, entered, everything
from support.daemon import Daemon
from support.waiting import wait_until

STREAM, CAROLS = "openclaw-events", "events-carol"
VISIBILITIES = ["public", "internal", "confidential", "secret"]

RULES = {
    "alice": {"token": "alice-s3cret", "canRead": ["bob"]},
    "bob": {"token": HASHED + digest_of("bob-s3cret")},
    "carol": {"token": "carol-s3cret", "streamName": CAROLS},
    "dave": {"token": "dave-s3cret", "canWriteAs": ["bob"]},
    "main": {"canRead": ["alice", "bob"], "canWriteAs": ["bob"]},
}
TOKENS = {"alice": "alice-s3cret", "bob": "bob-s3cret", "carol": "carol-s3cret", "dave": "dave-s3cret"}


class Attacked(NamedTuple):
    """The daemon, and what it held before the first attack."""

    daemon: Daemon
    eve: str  # the token that was made for her
    bystander: Wire  # alice's, open all along
    sequences: dict[str, int]  # of bob's and carol's events, by their ids


@pytest.fixture(scope="module")
def attacked() -> Iterator[Attacked]:
    folder = Path(tempfile.mkdtemp(prefix="ev", dir="/tmp"))
    daemon = Daemon(folder, {"agents": RULES}, mutation=ALL_IS_LOGGED)
    daemon.data.mkdir(parents=True)
    eve = TokenFolder(token_folder(daemon.data)).make("eve")
    with daemon, entered(daemon, "alice", TOKENS["alice"]) as bystander:
        for agent in ("alice", "bob", "carol"):
            with entered(daemon, agent, TOKENS[agent]) as wire:
                events = [said(agent, visibility) for visibility in VISIBILITIES]
                assert wire.emit(*events)["op"] == "ack"
        everything(daemon)
        wait_until(lambda: all_have_places(daemon), what="the index knows where they are")
        jetstream = daemon.embedded_streams()
        messages = [*jetstream.read(STREAM), *jetstream.read(CAROLS)]
        yield Attacked(daemon, eve, bystander, {message.id: message.seq for message in messages})
        assert "Traceback" not in daemon.log_text
    shutil.rmtree(folder)


def all_have_places(daemon: Daemon) -> bool:
    """Whether the index knows the sequence of each event, so that it can be asked by that."""
    with connect("main", socket=daemon.socket, token=daemon.admin_token) as admin:
        return all(event.seq for event in admin.query(agent="*"))


def said(agent: str, visibility: str) -> Message:
    """Return an event with words that are found; its id says what it is."""
    text = f"the {visibility} password of {agent} is swordfish"
    return {
        "type": "conversation.message.in", "id": f"{agent}-{visibility}", "timestamp": 1_758_000_000_000,
        "session": f"agent:{agent}:main", "visibility": visibility,
        "payload": {"data": {"role": "user", "text": text}},
    }  # fmt: skip


@pytest.fixture
def untouched(attacked: Attacked) -> Iterator[Attacked]:
    """Check that an attack has stored nothing, and that the bystander's connection is served as before."""
    before = everything(attacked.daemon, STREAM, CAROLS)
    yield attacked
    assert everything(attacked.daemon, STREAM, CAROLS) == before
    assert attacked.bystander.emit({"type": "custom.still_here"})["op"] == "ack"
    assert attacked.bystander.ask("get", event="alice-secret")[0]["op"] == "event"


def knock(daemon: Daemon, agent: Any, token: Any) -> Message:
    """Say hello and return how it is refused: the connection is closed, whatever is sent behind it."""
    with Wire(daemon.socket) as wire:
        answer = wire.hello(agent, token)
        if answer["op"] == "error":
            assert "id" not in answer
            wire.send({"op": "emit", "id": 1, "events": [{"type": "custom.too_late", "agent": "bob"}]})
            assert wire.is_closed()
        return answer


@pytest.mark.parametrize(
    ("agent", "token"),
    [
        ("alice", "bob-s3cret"),
        ("alice", "alice-s3cre"),
        ("alice", "alice-s3cret "),
        ("alice", "ALICE-S3CRET"),
        ("alice", "alice-s3cret\0"),
        ("alice", "alice-s3cret\nbob-s3cret"),
        ("alice", digest_of("alice-s3cret")),
        ("alice", " "),
        ("alice", "*"),
        ("alice", "x" * 12_000),
        ("bob", HASHED + digest_of("bob-s3cret")),
        ("bob", digest_of("bob-s3cret")),
        ("bob", "alice-s3cret"),
        ("eve", "evt_"),
        ("main", "alice-s3cret"),
        ("nobody", "alice-s3cret"),
        ("nobody", "evt_"),
    ],
)
def test_a_wrong_token_lets_nobody_in(untouched: Attacked, agent: str, token: str) -> None:
    """Be it nearly right, another's, the hash that is stored, or that of a name without a rule."""
    with audited(untouched.daemon, "hello"):
        assert knock(untouched.daemon, agent, token)["code"] == "unauthorised"


@pytest.mark.parametrize("token", [None, ""])
@pytest.mark.parametrize("agent", ["alice", "eve", "main", "nobody", "admin", "root"])
def test_no_token_lets_nobody_in(untouched: Attacked, agent: str, token: str | None) -> None:
    """Nor does a name that has an entry, with grants even, but no rule. The hint says what would help."""
    answer = knock(untouched.daemon, agent, token)
    assert answer["code"] == "unauthorised"
    assert "eventd token new" in answer["hint"]
    assert agent in ("alice", "eve") or "allowUnlisted" in answer["hint"]


def test_the_hash_of_a_made_token_is_none(untouched: Attacked) -> None:
    """Who has read the file that it is in has not got in."""
    (line,) = TokenFolder(token_folder(untouched.daemon.data)).lines("eve") or []
    for token in (line, line.removeprefix(HASHED)):
        assert knock(untouched.daemon, "eve", token)["code"] == "unauthorised"
    assert knock(untouched.daemon, "eve", untouched.eve)["op"] == "welcome"
    assert knock(untouched.daemon, "alice", untouched.eve)["code"] == "unauthorised"


@pytest.mark.parametrize("token", [0, 1, True, 1.5, b"alice-s3cret", b"\xff\xfe", ["alice-s3cret"], {"a": 1}])
def test_a_token_that_is_no_text_is_refused(untouched: Attacked, token: object) -> None:
    """Also bytes that would be right as text."""
    assert knock(untouched.daemon, "alice", token)["code"] == "bad_request"


def test_a_token_that_is_not_utf_8_is_refused(untouched: Attacked) -> None:
    with Wire(untouched.daemon.socket) as wire:
        body = msgspec.msgpack.encode({"op": "hello", "protocol": 1, "agent": "alice", "token": "XY"})
        body = body.replace(b"XY", b"\xff\xfe")
        wire.send_bytes(len(body).to_bytes(4, "big") + body)
        answer = wire.receive()
        assert answer is not None
        assert answer["code"] in ("bad_request", "bad_frame")
        assert wire.is_closed()


def test_a_token_that_is_too_long_is_not_even_read(untouched: Attacked) -> None:
    assert knock(untouched.daemon, "alice", "x" * 16 * 1024)["code"] == "frame_too_large"


NAMES = [
    "Alice", "ALICE", "alice.", "аlice", "alıce", "ａlice", "a\u0301lice", "ALICE\u0301", "é" * 32,
    "../alice", "..", ".", "alice/../bob", "alice%", "%61lice", "alice.>", ">", "openclaw.events.alice",
    "agent.alice", "$SYS", "alice,bob", "alice bob", "alice'--", "alice;",
]  # fmt: skip
NO_NAMES = [
    "", "*", " alice", "alice ", "alice\n", "alice\0", "alice\t", "\u2028", "\u200balice", "alice\u200b",
    "alice\u202e", "agent:alice", "alice:", ":", "a" * 65, "é" * 33,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_looks_like_anothers_is_nobodys(untouched: Attacked, name: str) -> None:
    """In its letters, their case, or what they mean in a path or a subject: it is a name without a rule."""
    for token in ("alice-s3cret", "bob-s3cret"):
        with audited(untouched.daemon, "hello"):
            assert knock(untouched.daemon, name, token)["code"] == "unauthorised"


@pytest.mark.parametrize("name", [*NO_NAMES, None, 1, b"alice", ["alice"], {"alice": 1}])
def test_what_is_no_name_is_refused_whatever_is_shown(untouched: Attacked, name: object) -> None:
    """Not even the administrator speaks as an agent that there cannot be."""
    code = "unauthorised" if isinstance(name, str) else "bad_request"
    for token in ("alice-s3cret", untouched.daemon.admin_token):
        assert knock(untouched.daemon, name, token)["code"] == code


def test_a_second_hello_makes_nobody_else_of_a_client(untouched: Attacked) -> None:
    """Not even one that would be right: the connection is over."""
    for agent, token in (("bob", "bob-s3cret"), ("alice", untouched.daemon.admin_token)):
        with entered(untouched.daemon, "alice", "alice-s3cret") as wire:
            assert wire.hello(agent, token)["code"] == "hello_required"
            wire.send({"op": "emit", "id": 1, "events": [{"type": "custom.x", "agent": "bob"}]})
            assert wire.is_closed()


def test_nothing_is_done_before_hello(untouched: Attacked) -> None:
    """Nor for one that sends its requests without waiting for the refusal."""
    emit = {"op": "emit", "id": 1, "events": [{"type": "custom.x", "agent": "alice"}]}
    hello = {"op": "hello", "protocol": 1, "agent": "alice", "token": "wrong"}
    for messages, code in (([emit], "hello_required"), ([hello, emit], "unauthorised")):
        with Wire(untouched.daemon.socket) as wire:
            wire.send(*messages)
            answer = wire.receive()
            assert answer is not None
            assert answer["code"] == code
            assert wire.is_closed()


# Writing as somebody else.


@pytest.mark.parametrize(
    "fields",
    [
        {"agent": "bob"},
        {"agent": "main"},
        {"agent": "Alice"},
        {"agent": "аlice"},
        {"agent": "bob.>"},
        {"agent": ">"},
        {"agent": "../bob"},
        {"agent": "agent"},
        {"agent": "bob", "session": "agent:alice:main"},
        {"session": "agent:bob:main"},
        {"session": "agent:bob"},
        {"session": "bob:main"},
        {"session": "main"},
        {"session": "agent:Alice:main"},
        {"session": "agent:bob.>:main"},
        {"session": "agent:../bob:main"},
        {"session": "agent:agent:bob"},
    ],
)
def test_nobody_writes_as_another(untouched: Attacked, fields: Message) -> None:
    """By the event's agent, or by its session key where it names no agent. Nothing of the frame is stored."""
    good = {"type": "custom.good"}
    with entered(untouched.daemon, "alice", "alice-s3cret") as wire, audited(untouched.daemon, "emit"):
        answer = wire.emit(good, {"type": "custom.forged", **fields}, good)
        assert (answer["op"], answer.get("code"), answer.get("index")) == ("error", "forbidden", 1)
        assert "canWriteAs" in answer["hint"]


@pytest.mark.parametrize(
    "fields",
    [
        *({"agent": name} for name in NO_NAMES),
        *({"agent": name} for name in (1, b"bob", ["bob"], {"bob": 1})),
        {"session": "agent:*:main"},
        {"session": "agent: bob:main"},
        {"session": "agent:" + "b" * 65 + ":main"},
        {"session": "s" * 513},
        {"session": ""},
        {"session": b"agent:bob:main"},
        {"id": "bob event"},
        {"id": "bob\r\nNats-Msg-Id"},
        {"id": "é"},
        {"id": ""},
        {"id": "i" * 129},
        {"id": 7},
        {"type": "custom.>"},
        {"type": "custom.*"},
        {"type": "custom..x"},
        {"type": "../x"},
        {"type": "Custom"},
        {"type": "custom x"},
        {"type": "c" * 129},
        {"type": None},
        {"visibility": "Public"},
        {"visibility": "*"},
        {"timestamp": -1},
    ],
)
def test_what_cannot_be_meant_is_malformed(untouched: Attacked, fields: Message) -> None:
    """It would be another's subject, header or id, if it were taken as it is."""
    with entered(untouched.daemon, "alice", "alice-s3cret") as wire:
        answer = wire.emit({"type": "custom.forged", **fields})
        assert (answer["op"], answer.get("code")) == ("error", "malformed"), answer


def test_a_grant_to_write_is_for_the_agents_that_it_names(untouched: Attacked) -> None:
    """And gives no right to read what was written, nor to pass it on."""
    with entered(untouched.daemon, "dave", "dave-s3cret") as wire:
        for name in ("alice", "carol", "main", "eve"):
            assert wire.emit({"type": "custom.forged", "agent": name})["code"] == "forbidden"
        assert wire.ask("get", event="bob-internal")[0]["code"] == "forbidden"
        assert wire.ask("query", agent="bob")[0]["code"] == "forbidden"
    with entered(untouched.daemon, "bob", "bob-s3cret") as wire:
        assert wire.emit({"type": "custom.forged", "agent": "dave"})["code"] == "forbidden"


# Asking for what is another's.


class Ask(NamedTuple):
    """A request of alice's, how it is refused, and what the audit trail says that it was."""

    op: str
    request: Message
    code: str = "forbidden"

    def __str__(self) -> str:
        return f"{self.op} {self.request}"


ASKED = [
    *(
        Ask(op, {"agent": name, **others})
        for op, others in (("query", {}), ("tail", {}), ("replay", {}), ("get", {"event": "carol-internal"}))
        for name in ("carol", "eve", "*", "Alice", "аlice", "alice.>", "../carol", "nobody")
    ),
    *(
        Ask(op, {"agent": name, **others})
        for op, others in (("recall", {"text": "password"}), ("context", {}))
        for name in ("bob", "carol", "Alice", "alice.>")
    ),
    Ask("recall", {"text": "password", "agent": "*"}),
    Ask("query", {"agent": "carol", "visibility": ["internal"]}),
    Ask("query", {"agent": "carol", "visibility": ["public", "secret"]}),
    *(Ask("get", {"event": f"bob-{visibility}"}) for visibility in ("confidential", "secret")),
    *(Ask("get", {"event": f"carol-{visibility}"}) for visibility in VISIBILITIES[1:]),
    Ask("get", {"event": "bob-secret", "agent": "bob"}),
    Ask("get", {"event": "carol-internal", "stream": CAROLS}),
    Ask("tail", {"agent": "carol", "stream": CAROLS}),
    Ask("replay", {"agent": "carol", "stream": CAROLS}),
    Ask("replay", {"to": "elsewhere"}),
    Ask("replay", {"to": "elsewhere", "agent": "alice"}),
    *(Ask("known", {"agent": name, "ids": ["bob-internal"]}) for name in ("bob", "carol", "Alice", "eve")),
    *(
        Ask("forget", {"agent": name, **asked})
        for name in ("bob", "carol", "Alice", "eve")
        for asked in ({"events": [{"id": "bob-internal"}]}, {"action": "progress", "tombstones": ["x"]})
    ),
    *(
        Ask(
            "put",
            {"events": [{"agent": name, "id": "x", "subject": f"openclaw.events.{name}.x", "body": b"{}"}]},
        )
        for name in ("alice", "bob")
    ),
    Ask("put", {"events": []}),
    Ask("status", {}),
    Ask("index", {}),
    Ask("index", {"action": "rebuild"}),
    Ask("backlog", {}),
    Ask("backlog", {"dead": True}),
    Ask("deadletter", {}),
    Ask("deadletter", {"action": "retry", "all": True}),
    Ask("deadletter", {"action": "drop", "all": True}),
    Ask("metrics", {}),
    Ask("reload", {}),
    Ask("reroute", {"route": "carol"}),
]

ASKED_BADLY = [
    *(
        Ask(op, {"agent": name, **others}, "bad_request")
        for op, others in (("query", {}), ("tail", {}), ("recall", {"text": "x"}), ("get", {"event": "x"}))
        for name in ("", " alice", "agent:carol", "alice\0", "a" * 65, 7, b"carol")
    ),
    *(Ask("known", {"agent": name, "ids": []}, "bad_request") for name in ("", "a:b", 7)),
    Ask("known", {"agent": "alice", "ids": ["x"] * 1001}, "bad_request"),
    Ask("known", {"agent": "alice", "ids": [b"x"]}, "bad_request"),
    Ask("put", {"events": {}}, "bad_request"),
    Ask("backlog", {"limit": "all"}, "bad_request"),
    *(
        Ask("forget", {"agent": "alice", "events": [event]}, "bad_request")
        for event in (
            {},
            {"id": ""},
            {"stream": STREAM},
            {"seq": 1},
            {"stream": STREAM, "seq": 0},
            {"stream": STREAM, "seq": 2**63},
            {"id": "x" * 257},
            {"id": "x", "seq": 1},
            7,
        )
    ),
    Ask("forget", {"agent": "alice"}, "bad_request"),
    Ask("forget", {"agent": "alice", "events": [{"id": "x"}] * 501}, "bad_request"),
    Ask("forget", {"agent": "alice", "action": "undo", "events": [{"id": "x"}]}, "bad_request"),
    Ask("forget", {"agent": "a:b", "events": [{"id": "x"}]}, "bad_request"),
    Ask("query", {"session": "s" * 513}, "bad_request"),
    Ask("query", {"visibility": ["*"]}, "bad_request"),
    Ask("context", {"agent": "*"}, "bad_request"),
    Ask("get", {"event": "no-such-id"}, "not_found"),
    Ask("get", {"event": "carol-internal' OR 1=1 --"}, "not_found"),
    Ask("get", {"seq": 1_000_000}, "not_found"),
    Ask("get", {"seq": 1, "stream": "no-such-stream"}, "not_found"),
    Ask("get", {"seq": 1, "stream": "*"}, "not_found"),
    Ask("tail", {"stream": "KV_secrets"}, "not_found"),
    Ask("replay", {"stream": "openclaw-events.>"}, "not_found"),
    Ask("shutdown", {}, "unknown_op"),
]


@pytest.mark.parametrize("ask", ASKED, ids=str)
def test_what_is_not_ones_own_is_refused(untouched: Attacked, ask: Ask) -> None:
    """Not answered with less; and the audit trail has it. The connection goes on."""
    with entered(untouched.daemon, "alice", "alice-s3cret") as wire:
        with audited(untouched.daemon, ask.op):
            (answer,) = wire.ask(ask.op, **ask.request)
            assert (answer["op"], answer.get("code")) == ("error", "forbidden"), answer
        assert wire.ask("ping") == [{"op": "pong", "id": wire.last_id}]


@pytest.mark.parametrize("ask", ASKED_BADLY, ids=str)
def test_what_cannot_be_asked_for_is_refused(untouched: Attacked, ask: Ask) -> None:
    """Nobody is denied anything by that, so the audit trail has nothing of it."""
    with entered(untouched.daemon, "alice", "alice-s3cret") as wire, audited(untouched.daemon, None):
        (answer,) = wire.ask(ask.op, **ask.request)
        assert (answer["op"], answer.get("code")) == ("error", ask.code), answer


def test_nobody_elses_events_are_forgotten(untouched: Attacked) -> None:
    """Named by ids or by places they are no events of the agent that asks, and no tombstone comes."""
    sequences = untouched.sequences.items()
    places = [
        {"stream": CAROLS if name.startswith("carol") else STREAM, "seq": seq}
        for name, seq in sequences
        if not name.startswith("alice")
    ]
    names = [{"id": name} for name, _ in sequences if not name.startswith("alice")]
    with entered(untouched.daemon, "alice", "alice-s3cret") as wire:
        (answer,) = wire.ask("forget", agent="alice", events=places + names)
        assert answer["op"] == "result", answer
        assert answer["data"]["tombstones"] == answer["data"]["already"] == []
        assert len(answer["data"]["unknown"]) == len(places + names)


@pytest.mark.parametrize("event_type", ["eventd.tombstone", "eventd.forgotten", "eventd.x"])
def test_nobody_writes_what_only_eventd_writes(untouched: Attacked, event_type: str) -> None:
    """Not even administrators emit it; they may put tombstones back, and nothing else of these."""
    payload = {"forgotten": [{"id": "bob-internal"}]}
    event = {"type": event_type, "payload": payload}
    body = json.dumps({"type": event_type, "agent": "bob", "payload": payload}).encode()
    for agent, token in (("alice", "alice-s3cret"), ("main", untouched.daemon.admin_token)):
        with entered(untouched.daemon, agent, token) as wire:
            assert wire.emit(event)["code"] == "forbidden"
            if event_type != "eventd.tombstone":
                raw = {"agent": "bob", "id": "x", "subject": "openclaw.events.bob.x", "body": body}
                assert wire.ask("put", events=[raw])[0]["code"] == "forbidden"


def test_what_is_at_a_sequence_is_read_by_whose_it_is(untouched: Attacked) -> None:
    """In the stream of all, and in that of another agent."""
    with entered(untouched.daemon, "alice", "alice-s3cret") as wire:
        for event_id, seq in untouched.sequences.items():
            owner, visibility = event_id.split("-")
            stream = CAROLS if owner == "carol" else STREAM
            allowed = owner == "alice" or visibility == "public" or (owner, visibility) == ("bob", "internal")
            with audited(untouched.daemon, None if allowed else "get"):
                (answer,) = wire.ask("get", seq=seq, stream=stream)
            if allowed:
                assert json.loads(answer["body"])["id"] == event_id
            else:
                assert answer["code"] == "forbidden"


def test_a_cursor_of_another_opens_nothing(untouched: Attacked) -> None:
    """It is of another query, for the one that has taken it and for the one who asks for other agents."""
    daemon = untouched.daemon

    def cursor(name: str, token: str | None, asked: str | None = None) -> str:
        with entered(daemon, name, token) as wire:
            return str(wire.ask("query", limit=1, agent=asked)[-1]["cursor"])

    own = cursor("alice", "alice-s3cret")
    others = [
        cursor("carol", "carol-s3cret"), cursor("carol", "carol-s3cret", "carol"),
        cursor("main", daemon.admin_token, "*"), cursor("alice", "alice-s3cret", "bob"),
        "", "n1.2", "n1.2.3.4", "n9223372036854775808.1." + own[-8:],
        own[:-1], own + "0", own.replace("n", "o", 1),
    ]  # fmt: skip
    with entered(daemon, "alice", "alice-s3cret") as wire:
        for taken in others:
            assert wire.ask("query", cursor=taken)[0]["code"] == "bad_request", taken
        assert wire.ask("query", cursor=own, credit=10_000)[-1]["op"] == "end"


# What is shown without a refusal: only what may be read.

READABLE = {
    "alice": {f"alice-{name}" for name in VISIBILITIES} | {"bob-public", "bob-internal", "carol-public"},
    "bob": {f"bob-{name}" for name in VISIBILITIES} | {"alice-public", "carol-public"},
    "carol": {f"carol-{name}" for name in VISIBILITIES} | {"alice-public", "bob-public"},
    "dave": {"alice-public", "bob-public", "carol-public"},
}
OF_ALL = {f"{agent}-{name}" for agent in ("alice", "bob", "carol") for name in VISIBILITIES}


def ids(events: list[Message]) -> set[str]:
    """Return the ids of those that the fixture has stored."""
    return {event["id"] for event in events} & OF_ALL


@pytest.mark.parametrize("agent", READABLE)
def test_an_agent_sees_what_it_may_read_and_no_more(untouched: Attacked, agent: str) -> None:
    """In every answer: from the index, and from a stream, be it that of all or of another agent."""
    may = READABLE[agent]
    carols = {event_id for event_id in OF_ALL if event_id.startswith("carol")}
    found = may - {event_id for event_id in OF_ALL if event_id.endswith("secret")}
    with entered(untouched.daemon, agent, TOKENS[agent]) as wire:
        assert ids(wire.events("query")) == may
        assert ids(wire.events("query", session="agent:bob:*")) == {each for each in may if each[:3] == "bob"}
        assert ids(wire.events("query", text="swordfish")) == found
        assert ids(wire.events("tail", last=1000)) == may
        assert ids(wire.events("tail", last=1000, stream=STREAM)) == may - carols
        assert ids(wire.events("tail", last=1000, stream=CAROLS)) == may & carols
        assert ids(wire.events("tail", since=0, stream=CAROLS)) == may & carols
        assert ids(wire.events("replay", stream=STREAM)) == may - carols
        assert ids(wire.events("replay", stream=CAROLS)) == may & carols
        (recalled,) = wire.ask("recall", text="swordfish password", limit=100, around=10)
        hits = recalled["data"]["hits"]
        assert set() < {hit["id"] for hit in hits} <= found
        assert {near["id"] for hit in hits for near in hit["around"]} & OF_ALL <= may
        (context,) = wire.ask("context", query="swordfish password", session="agent:bob:main")
        for event_id in OF_ALL - may:
            owner, visibility = event_id.split("-")
            assert f"{visibility} password of {owner}" not in str(context["data"])


def test_the_neighbours_of_a_hit_are_those_that_may_be_read(attacked: Attacked) -> None:
    """An event of one's own in the session of another does not open what was said around it there."""
    with entered(attacked.daemon, "dave", "dave-s3cret") as dave:
        bait = said("dave", "internal") | {"agent": "dave", "session": "agent:bob:main", "id": "bait"}
        bait["payload"] = {"data": {"role": "user", "text": "an unmistakable bait"}}
        assert dave.emit(bait)["op"] == "ack"
        for request in ({}, {"session": "agent:bob:main"}):
            (recalled,) = dave.ask("recall", text="unmistakable bait", around=10, **request)
            (hit,) = [hit for hit in recalled["data"]["hits"] if hit["id"] == "bait"]
            assert {near["id"] for near in hit["around"]} <= READABLE["dave"] | {"bait"}


def test_memories_are_shown_to_those_who_may_read_them(attacked: Attacked) -> None:
    """In the block for a prompt: public ones to all, internal ones by a grant, others to their own agent."""
    with entered(attacked.daemon, "bob", "bob-s3cret") as bob:
        for visibility in VISIBILITIES:
            text = f"the {visibility} key of bob lies under the mat"
            fact = {"type": "memory.fact", "visibility": visibility, "payload": {"data": {"text": text}}}
            assert bob.emit(fact)["op"] == "ack"
    shown = {"alice": {"public", "internal"}, "carol": {"public"}, "dave": {"public"}}
    for agent, visible in {**shown, "bob": set(VISIBILITIES)}.items():
        with entered(attacked.daemon, agent, TOKENS[agent]) as wire:
            (context,) = wire.ask("context", query="key of bob under the mat", budget=100_000)
        found = {name for name in VISIBILITIES if f"the {name} key of bob" in str(context["data"])}
        assert found - {"secret"} == visible - {"secret"}, agent
        assert "secret" not in found or agent == "bob"


def test_new_events_are_shown_to_those_who_may_read_them(attacked: Attacked) -> None:
    """A tail that follows has the same rule as what it begins with."""
    with (
        entered(attacked.daemon, "carol", "carol-s3cret") as carol,
        entered(attacked.daemon, "bob", "bob-s3cret") as bob,
    ):
        for op in ({}, {"stream": STREAM}):
            carol.send({"op": "tail", "id": 100, "last": 0, "follow": True, "credit": 1000, **op})
            carol.send({"op": "ping", "id": 101})
            assert carol.receive() == {"op": "pong", "id": 101}
            for number, visibility in enumerate(["secret", "internal", "confidential", "public"]):
                answer = bob.emit(said("bob", visibility) | {"id": f"new-{op}-{number}".replace(" ", "")})
                assert answer["op"] == "ack", answer
            shown = carol.receive()
            assert shown is not None
            assert json.loads(shown["body"])["visibility"] == "public"
            carol.send({"op": "cancel", "id": 100})
            assert carol.receive() == {"op": "end", "id": 100, "cancelled": True}


def test_an_administrator_sees_and_does_all(attacked: Attacked) -> None:
    """With any agent's name: reads every agent's events, asks how the daemon is, writes as everybody."""
    with entered(attacked.daemon, "nobody", attacked.daemon.admin_token) as wire:
        assert ids(wire.events("query", agent="*")) == OF_ALL
        assert ids(wire.events("tail", agent="*", last=10_000)) == OF_ALL
        assert wire.ask("get", event="carol-secret", agent="carol")[0]["op"] == "event"
        for op in ("status", "metrics", "reload", "index", "deadletter"):
            assert wire.ask(op)[0]["op"] == "result"
        assert wire.emit({"type": "custom.by_admin", "agent": "bob"})["op"] == "ack"


@pytest.mark.parametrize(
    "fields",
    [
        *({"agent": name} for name in NO_NAMES),
        *({"id": value} for value in ("", "a b", "é", "bob\r\nNats-TTL: 1", "i" * 129, 7)),
        *(
            {"subject": value}
            for value in ("", ".", "a..b", "a.*", "a.>", "a b", "a\r\nb", "a." * 600 + "b", 7)
        ),
        {"body": "text"},
        {"body": None},
        {"neverExpires": 1},
    ],
)
def test_not_even_an_administrator_puts_what_cannot_be_meant(untouched: Attacked, fields: Message) -> None:
    """It would be another's header, or a subject that no message can have. Nothing of the frame is stored."""
    good = {"agent": "bob", "id": "put-1", "subject": "openclaw.events.bob.x", "body": b"{}"}
    with entered(untouched.daemon, "main", untouched.daemon.admin_token) as wire:
        (answer,) = wire.ask("put", events=[good, good | fields])
        assert (answer["op"], answer.get("code"), answer.get("index")) == ("error", "malformed", 1), answer


def test_ids_are_told_to_those_who_may_use_them(untouched: Attacked) -> None:
    """One's own, and those under a grant to write; an id of another agent is not even hinted at."""
    asked = ["alice-secret", "bob-secret", "nobody-has-it"]
    for agent, of, known in (
        ("alice", "alice", ["alice-secret"]), ("bob", "bob", ["bob-secret"]), ("dave", "bob", ["bob-secret"]),
        ("carol", "carol", []),
    ):  # fmt: skip
        with entered(untouched.daemon, agent, TOKENS[agent]) as wire:
            (answer,) = wire.ask("known", agent=of, ids=asked)
            assert answer["data"] == {"known": known, "forgotten": [], "complete": True}


def test_what_was_refused_is_counted_by_its_code(untouched: Attacked) -> None:
    """In status, so that an operator sees that somebody knocks."""

    def refused() -> dict[str, int]:
        found: dict[str, int] = untouched.daemon.status()["server"]["refused"]
        return {code: found.get(code, 0) for code in ("unauthorised", "forbidden", "malformed")}

    before = refused()
    knock(untouched.daemon, "alice", "wrong")
    with entered(untouched.daemon, "alice", "alice-s3cret") as wire:
        wire.ask("status")
        wire.emit({"type": "custom.forged", "agent": "bob"})
        wire.emit({"type": "No type"})
    assert refused() == {
        "unauthorised": before["unauthorised"] + 1,
        "forbidden": before["forbidden"] + 2,
        "malformed": before["malformed"] + 1,
    }


def test_what_is_written_under_a_grant_is_the_others(attacked: Attacked) -> None:
    """Also by the session key; who wrote it does not read it."""
    with (
        entered(attacked.daemon, "dave", "dave-s3cret") as dave,
        entered(attacked.daemon, "bob", "bob-s3cret") as bob,
    ):
        for number, fields in enumerate(({"agent": "bob"}, {"session": "agent:bob:x"})):
            event = {"type": "custom.note", "id": f"for-bob-{number}", **fields}
            assert dave.emit(event)["op"] == "ack"
            (stored,) = bob.ask("get", event=event["id"])
            assert json.loads(stored["body"])["agent"] == "bob"
            assert dave.ask("get", event=event["id"])[0]["code"] == "forbidden"


def test_what_an_event_says_elsewhere_is_only_what_it_says(attacked: Attacked) -> None:
    """Its id, payload, and a session key beside its own agent make it nobody else's."""
    event = {
        "type": "custom.note", "id": "bob:bob-internal", "agent": "alice", "session": "agent:bob:main",
        "payload": {"agent": "bob", "sessionKey": "agent:bob:main"}, "meta": {"agent": "bob"},
    }  # fmt: skip
    assert attacked.bystander.emit(event)["op"] == "ack"
    attacked.daemon.wait_shipped()
    (message,) = [m for m in attacked.daemon.embedded_streams().read(STREAM) if m.id == event["id"]]
    assert message.subject == "openclaw.events.alice.custom_note"
    with entered(attacked.daemon, "bob", "bob-s3cret") as bob:
        assert event["id"] not in {found["id"] for found in bob.events("query")}
        assert json.loads(bob.ask("get", event="bob-internal")[0]["body"])["agent"] == "bob"


def test_the_same_id_of_two_agents_is_two_events(attacked: Attacked) -> None:
    """Nobody takes another's id away from them, finds out that it is used, or reads another's by it."""
    event = {"type": "custom.note", "id": "bob-internal", "timestamp": 5}
    with entered(attacked.daemon, "carol", "carol-s3cret") as carol:
        assert carol.emit(event)["op"] == "ack"
        assert json.loads(carol.ask("get", event="bob-internal")[0]["body"])["agent"] == "carol"
    with entered(attacked.daemon, "bob", "bob-s3cret") as bob:
        assert json.loads(bob.ask("get", event="bob-internal")[0]["body"])["agent"] == "bob"
