"""A daemon with its own nats-server, what is moved between two of them, and the command that moves it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from cli.support import Ended, Eventd
from eventd.events.identity import IMPORTED
from eventd_ipc.blocking import connect
from eventd_ipc.events import Event
from support.daemon import Daemon
from support.foreign import write
from support.jetstream import STREAM, JetStream, Stored
from support.nats import NatsServer

CAROLS = "events-carol"
AGENTS = {"carol": {"streamName": CAROLS, "subjectPrefix": "carols.events"}}

FOREIGN = [
    # The three shapes, and the fourth writer; then what is no event at all.
    ("main.conversation_message_in", b'{"timestamp":5,"agent":"main","type":"conversation.message.in"}'),
    ("main.msg_in", b'{"id":"same","ts":1700000000000,"type":"msg.in","payload":{"content":"a"}}'),
    ("main.msg_in", b'{"id":"same","ts":1700000000001,"type":"msg.in","payload":{"content":"b"}}'),
    ("main.tool_call", b'{"ts":6,"type":"tool.call","canonicalType":"tool.call.requested"}'),
    ("agent.msg_out", b'{"ts":7,"agent":"agent","session":"agent:bob:main","type":"msg.out","payload":{}}'),
    ("main.x", b'{ "type" : "x", "spaced": 1.50,\n "lines": [1e2] }'),
    ("main.x", b"\x00\xffno json"),
    ("main.x", b""),
    ("main.claims", b'{"type":"x","agent":"mallory"}'),
    ("no.subject.of.an.agent", b"{}"),
]  # fmt: skip
"""Subjects below the prefix, and bodies, as other writers have them."""

FORGED = "carols.events.carol.main.memory_fact"
"""Subject of what somebody with carol's login has put into her stream, as if it were main's."""


class Place(NamedTuple):
    """A daemon and all that is its own."""

    daemon: Daemon
    server: NatsServer

    @property
    def eventd(self) -> Eventd:
        """The command, told where the daemon is."""
        return Eventd(["--socket", self.daemon.socket])

    def put(self, *args: str | Path) -> dict[str, int]:
        """Import, and return the figures."""
        ended = self.eventd("import", "--json", *args)
        assert ended.code == 0, (ended.out, ended.err)
        figures: dict[str, int] = ended.objects[-1]
        return figures

    def export(self, *args: str | Path) -> Ended:
        """Export, which goes well."""
        ended = self.eventd("export", *args)
        assert ended.code == 0, ended.err
        return ended

    def messages(self, *streams: str) -> list[Stored]:
        """Return what the streams hold, once all is shipped."""
        self.daemon.wait_shipped()
        jetstream = JetStream(self.server.url)
        return [message for stream in streams or (STREAM, CAROLS) for message in jetstream.read(stream)]


def fill(place: Place, count: int = 20, *, delete: bool = True) -> None:
    """Store events of several agents, and other writers' between them; one is deleted again."""
    with connect("main", socket=place.daemon.socket) as client:
        for n in range(count):
            client.emit([*own(n)])
            if n == count // 2:
                place.daemon.wait_shipped()
                write(place.server.url, *((f"openclaw.events.{s}", body, None) for s, body in FOREIGN))
                write(
                    place.server.url,
                    (FORGED, b'{"type":"memory.fact","agent":"main"}', {"Nats-Msg-Id": "main:x"}),
                )
    place.daemon.wait_shipped()
    if delete:
        JetStream(place.server.url).api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": 3, "no_erase": True})


def own(n: int) -> list[Event]:
    """Return events with all that JSON has."""
    odd = {
        "z": 1,
        "a": 0.1 + 0.2,
        "tiny": 5e-324,
        "huge": 1.7e308,
        "neg": -0.0,
        "big": 2**63 + n,
        "ü\n👋": "\u2028",
    }
    session = "agent:main:main"
    return [
        Event("conversation.message.in", id=f"m-{n}", timestamp=n, session=session, payload={"data": odd}),
        Event("memory.fact", agent="carol", id=f"m-{n}", payload={"data": {"text": f"fact {n}"}}),
        Event("custom.note", agent="Zoë.x", visibility="secret", meta={"deep": [[[{}]]]}),
        Event("migration.daily_note", session="agent:bob:x", payload={"text": "x" * n}),
    ]


def shown(messages: list[Stored]) -> list[tuple[str, bytes, str, bool]]:
    """Return what an export has to keep of messages: subject, bytes, id, and whether they stay."""
    return [(m.subject, m.body, m.msg_id, m.headers.get("Nats-TTL") == "never") for m in messages]


def as_imported(messages: list[Stored], stream: str = STREAM) -> list[tuple[str, bytes, str, bool]]:
    """Return what becomes of messages: others' get an id that says where they were."""

    def imported(message: Stored) -> str:
        agent = "bob" if ".agent." in message.subject else "main"
        return message.msg_id or f"{agent}:{IMPORTED}{stream}-{message.seq}-{message.time}"

    return [
        (subject, body, imported(message), stays)
        for message, (subject, body, _, stays) in zip(messages, shown(messages), strict=True)
    ]


def lines(ended: Ended) -> list[dict[str, Any]]:
    """Return the records on standard output."""
    return [json.loads(line) for line in ended.out.splitlines()]
