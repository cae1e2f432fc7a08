"""`eventd doctor` on a real installation, in which one thing after the other is broken for real."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.support import Ended, Eventd
from support.daemon import Daemon
from support.jetstream import STREAM, JetStream
from support.nats import NatsServer

AGENTS = {"bob": {"streamName": "bobs"}}


@pytest.fixture
def daemon(short_tmp: Path, nats_server: NatsServer) -> Iterator[Daemon]:
    """A daemon with an agent whose own stream has no place: a wide one that is not eventd's is in its way."""
    JetStream(nats_server.url).make()
    with Daemon(short_tmp / "d", {"url": nats_server.url, "agents": AGENTS}) as daemon:
        yield daemon


def run(daemon: Daemon, *words: str) -> Ended:
    return Eventd(["--config", daemon.folder / "config.yml", "--socket", daemon.socket])(*words)


def doctor(daemon: Daemon, *words: str) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit code and its document."""
    ended = run(daemon, "doctor", "--json", *words)
    assert ended.code in (0, 1), ended.err
    return ended.code, ended.objects[0]


def bad(document: dict[str, Any]) -> dict[tuple[str, str | None], str]:
    """Return the level of everything that needs a look, by check and route."""
    return {
        (f["check"], f["route"]): f["level"]
        for f in document["findings"]
        if f["level"] in ("warning", "problem")
    }


def emit(daemon: Daemon, agent: str) -> None:
    assert run(daemon, "emit", "--type", "note", "--agent", agent, "--text", "hi").code == 0


def test_everything_that_is_broken_is_named_and_what_can_be_mended_is(
    daemon: Daemon, nats_server: NatsServer
) -> None:
    """The document's troubleshooting list and more, in the order in which things go wrong."""
    streams = JetStream(nats_server.url)
    emit(daemon, "main")
    emit(daemon, "bob")
    daemon.wait_shipped()

    # The stream was made as the document says, not as shipping likes it; bob's events go to it as well.
    code, document = doctor(daemon)
    found = bad(document)
    assert (code, document["level"]) == (1, "warning")
    assert found[("stream.overlap", "bob")] == "warning"
    assert found[("stream.settings", "default")] == "warning"  # it keeps events for ever

    # Only a person may have a stream changed that is not eventd's.
    _, document = doctor(daemon, "--fix", "--yes", "--no-test-event")
    assert document["fixed"] == []
    assert streams.info()["config"]["subjects"] == ["openclaw.events.>"]
    _, document = doctor(daemon, "--fix", "--yes", "--narrow", STREAM, "--no-test-event")
    assert [each["done"] for each in document["fixed"]] == [True]
    assert ("stream.overlap", "bob") not in bad(document)
    emit(daemon, "bob")
    emit(daemon, "main")
    daemon.wait_for(lambda _: streams.last_seq("bobs") == 1, what="bob's events go to his own stream")

    # The operator changes the stream, and all is well.
    streams.edit(max_age=90 * 86_400 * 10**9, allow_atomic=True, allow_direct=True, allow_msg_ttl=True)
    daemon.restart()
    daemon.wait_for(lambda status: all(r["state"] == "idle" for r in status["routes"]), what="it is ready")
    code, document = doctor(daemon, "--agent", "main")
    assert (code, bad(document)) == (0, {})

    # A stream is deleted while nobody writes to it.
    streams.delete("bobs")
    _, document = doctor(daemon, "--agent", "bob", "--no-test-event")
    assert bad(document) == {("stream.exists", "bob"): "problem"}
    code, document = doctor(daemon, "--agent", "bob", "--no-test-event", "--fix", "--yes")
    assert (code, [each["done"] for each in document["fixed"]]) == (0, [True])
    assert streams.info("bobs")["config"]["subjects"] == ["openclaw.events.bob.>"]

    # NATS goes away, and then the daemon too.
    nats_server.kill()
    daemon.wait_for(lambda status: not status["routes"][0]["connected"], what="it notices")
    code, document = doctor(daemon, "--agent", "main")
    assert bad(document)[("nats.connection", "default")] == "problem"
    assert {f["check"]: f["level"] for f in document["findings"]}["trial.accepted"] == "ok"
    daemon.pause()
    _, document = doctor(daemon, "--timeout", "1s")
    assert bad(document)[("daemon.answers", None)] == "problem"
    assert "within" in next(f["found"] for f in document["findings"] if f["check"] == "daemon.answers")
    daemon.kill()
    code, document = doctor(daemon)
    found = bad(document)
    assert code == 1
    assert found[("daemon.answers", None)] == "problem"
    assert found[("nats.connection", "bob")] == "problem"

    # The configuration is damaged.
    config = daemon.folder / "config.yml"
    config.write_text(json.dumps({"gateway": {"eventStore": {"urll": "x"}}}))
    _, document = doctor(daemon)
    assert bad(document)[("config.loads", None)] == "problem"
