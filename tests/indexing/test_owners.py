"""Whose a stream's messages are, as far as stream, subject and headers tell."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from eventd.config.load import load_text
from eventd.events.attribution import NOBODYS, Origin
from eventd.indexing.owners import Owners
from eventd.jetstream.reading import Message
from eventd.routes import DEFAULT_ROUTE, Credentials, Route, Routes, Server, StreamKey
from eventd.subjects import subject_of

SERVER = Server(("nats://unused",))
DEFAULT_STREAM = StreamKey(DEFAULT_ROUTE, "openclaw-events")
ANYBODY = {DEFAULT_ROUTE}


def routes(default: str = "openclaw.events", **prefixes: str) -> Routes:
    """The default prefix, and those of agents with a route of their own, each in an account of its own."""
    agents = {
        agent: Route(agent, replace(SERVER, credentials=Credentials(user=agent)), f"events-{agent}", prefix)
        for agent, prefix in prefixes.items()
    }
    return Routes(Route(DEFAULT_ROUTE, SERVER, "openclaw-events", default), agents)


def owners(default: str = "openclaw.events", **prefixes: str) -> Owners:
    """Those of the default stream."""
    return Owners(DEFAULT_STREAM, routes(default, **prefixes), ANYBODY)


def message(subject: str, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> Message:
    return Message(1, subject, 1, headers or {}, body)


def whose(found: Owners, subject: str) -> str:
    return found.origin(message(subject)).agent


@pytest.mark.parametrize(
    "agent", ["main", "my-agent", "a.b", "a:b", "ümläut", "a b", "*", ">", "events", "agent"]
)
def test_every_subject_that_we_make_is_read_back(agent: str) -> None:
    found = owners(tim="acme.tim", bob="openclaw.events.bob")
    assert whose(found, subject_of("openclaw.events", agent, "conversation.message.out")) == agent
    assert whose(found, subject_of("acme.tim", "tim", "custom")) == "tim"
    assert whose(found, subject_of("openclaw.events.bob", "bob", "custom")) == "bob"


@pytest.mark.parametrize(
    "subject",
    ["openclaw.events", "openclaw.events.a.b.c", "openclaw.eventsx.a.b", "other.a.b", "openclaw.events.%zz.b",
     "openclaw.events..b", "openclaw.events.%2D.b", ""],
)  # fmt: skip
def test_other_subjects_are_nobodys(subject: str) -> None:
    assert owners().origin(message(subject)) == NOBODYS


def test_below_its_own_prefix_an_agent_writes_as_itself_only() -> None:
    """The document lets it publish to all of `openclaw.events.my-agent.>`, so nobody else is named there."""
    found = owners(**{"my-agent": "openclaw.events.my-agent"})
    assert whose(found, "openclaw.events.my-agent.custom") == "my-agent"
    assert whose(found, "openclaw.events.my-agent.main.custom") == ""
    assert whose(found, "openclaw.events.main.custom") == "main"


def test_an_agent_with_the_default_prefix_takes_nobody_away() -> None:
    """A server of its own, and the subjects of all."""
    found = owners("openclaw.main", main="openclaw.main", tim="openclaw.main")
    assert whose(found, "openclaw.main.bob.custom") == "bob"
    assert whose(found, "openclaw.main.custom") == "main"


def test_the_documents_full_options() -> None:
    file = Path(__file__).parent.parent / "config" / "documents" / "full-options.yml"
    found = Owners(DEFAULT_STREAM, load_text(file.read_text(), environ={}).routes, ANYBODY)
    assert whose(found, "openclaw.events.my-agent.conversation_message_out") == "my-agent"
    assert whose(found, "openclaw.events.main.conversation_message_out") == "main"


# By stream


@pytest.mark.parametrize("subject", ["openclaw.events.tim.custom", "acme.tim.custom"])
def test_in_the_stream_of_an_agent_all_is_its_own_or_nobodys(subject: str) -> None:
    """It may write there what it likes, so it is believed about itself only."""
    found = Owners(StreamKey("bob", "events-bob"), routes(bob="acme.bob", tim="acme.tim"), {"bob"})
    assert whose(found, "acme.bob.custom") == "bob"
    assert whose(found, "openclaw.events.bob.custom") == "bob"
    assert whose(found, subject) == ""


def test_a_stream_that_agents_share_is_theirs() -> None:
    found = Owners(StreamKey("bob", "wide"), routes(bob="acme.bob", tim="acme.tim"), {"bob", "tim"})
    assert [whose(found, f"acme.{agent}.custom") for agent in ("bob", "tim")] == ["bob", "tim"]
    assert whose(found, "openclaw.events.main.custom") == ""


def test_a_stream_that_nobody_goes_to_is_nobodys() -> None:
    assert whose(Owners(DEFAULT_STREAM, routes(), ()), "openclaw.events.main.custom") == ""


# The token of older writers

UPSTREAM = "openclaw.events.agent.msg_out"


def test_the_token_of_older_writers_stands_for_any_agent() -> None:
    assert owners().origin(message(UPSTREAM)) == Origin("agent", by_session=True)
    assert not owners().origin(message("openclaw.events.main.msg_out")).by_session


def test_what_eventd_wrote_as_an_agent_of_that_name_is_that_agents() -> None:
    """Else it could write as anybody, and be believed as soon as the index is built anew."""
    written = message(UPSTREAM, headers={"Nats-Msg-Id": "agent:0192"})
    assert owners().origin(written) == Origin("agent")
    assert owners().origin(message(UPSTREAM, headers={"Nats-Msg-Id": "0192"})).by_session


def test_an_agent_of_that_name_with_an_entry_is_meant() -> None:
    assert owners(agent="openclaw.events").origin(message(UPSTREAM)) == Origin("agent")


def test_the_token_stands_for_nobody_in_the_stream_of_an_agent() -> None:
    """Whose session could name anybody."""
    found = Owners(StreamKey("bob", "events-bob"), routes(bob="openclaw.events"), {"bob"})
    assert found.origin(message(UPSTREAM)) == NOBODYS


# What the server was made to store


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"{}", {"Nats-Stream": "events-bob", "Nats-Subject": "openclaw.events.main.custom"}),
        (b"{}", {"Nats-Stream": "openclaw-events", "Nats-Subject": "openclaw.events.bob.custom"}),
        (b"", {"Status": "404", "Description": "No Messages"}),
    ],
)
def test_answers_of_the_server_are_nobodys(body: bytes, headers: dict[str, str]) -> None:
    """By the headers that it adds to a copy of another message, or to no message at all."""
    assert owners().origin(message("openclaw.events.main.custom", body, headers)) == NOBODYS


def test_headers_that_say_what_is_the_case_are_no_harm() -> None:
    """Headers are the writer's own, too."""
    headers = {
        "Nats-Stream": "openclaw-events",
        "Nats-Subject": "openclaw.events.main.custom",
        "Status": "404",
    }
    assert owners().origin(message("openclaw.events.main.custom", headers=headers)) == Origin("main")


@pytest.mark.parametrize("name", ["openclaw-events", "events-bob", None])
def test_in_a_shared_account_a_message_has_to_name_its_stream(name: str | None) -> None:
    """What was published to it does, and what the server was made to copy there cannot."""
    shared = routes(bob="acme.bob")
    shared = Routes(
        replace(shared.default, shared_account=True),
        {agent: replace(route, shared_account=True) for agent, route in shared.by_agent.items()},
    )
    headers = {} if name is None else {"Nats-Expected-Stream": name}
    published = message("openclaw.events.main.custom", headers=headers)
    assert Owners(DEFAULT_STREAM, shared, ANYBODY).origin(published).agent == (
        "main" if name == "openclaw-events" else ""
    )
    own = StreamKey(shared.account_of(shared.by_agent["bob"]), "events-bob")
    assert own.account == DEFAULT_ROUTE, "of one account"
    published = message("acme.bob.custom", headers=headers)
    assert Owners(own, shared, {"bob"}).origin(published).agent == ("bob" if name == "events-bob" else "")
