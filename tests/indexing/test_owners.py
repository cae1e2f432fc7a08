"""Whose a subject is."""

from pathlib import Path

import pytest

from eventd.config.load import load_text
from eventd.indexing.owners import Owners
from eventd.routes import DEFAULT_ROUTE, Route, Routes, Server
from eventd.subjects import subject_of

SERVER = Server(("nats://unused",))


def owners(default: str = "openclaw.events", **prefixes: str) -> Owners:
    """The default prefix, and those of agents with a route of their own."""
    agents = {agent: Route(agent, SERVER, f"events-{agent}", prefix) for agent, prefix in prefixes.items()}
    return Owners(Routes(Route(DEFAULT_ROUTE, SERVER, "openclaw-events", default), agents))


@pytest.mark.parametrize(
    "agent", ["main", "my-agent", "a.b", "a:b", "ümläut", "a b", "*", ">", "events", "agent"]
)
def test_every_subject_that_we_make_is_read_back(agent: str) -> None:
    found = owners(tim="acme.tim", bob="openclaw.events.bob")
    assert found.of(subject_of("openclaw.events", agent, "conversation.message.out")) == agent
    assert found.of(subject_of("acme.tim", "tim", "custom")) == "tim"
    assert found.of(subject_of("openclaw.events.bob", "bob", "custom")) == "bob"


@pytest.mark.parametrize(
    "subject",
    ["openclaw.events", "openclaw.events.a.b.c", "openclaw.eventsx.a.b", "other.a.b", "openclaw.events.%zz.b",
     "openclaw.events..b", "openclaw.events.%2D.b", ""],
)  # fmt: skip
def test_other_subjects_are_nobodys(subject: str) -> None:
    assert owners().of(subject) is None


def test_below_its_own_prefix_an_agent_writes_as_itself_only() -> None:
    """The document lets it publish to all of `openclaw.events.my-agent.>`, so nobody else is named there."""
    found = owners(**{"my-agent": "openclaw.events.my-agent"})
    assert found.of("openclaw.events.my-agent.custom") == "my-agent"
    assert found.of("openclaw.events.my-agent.main.custom") is None
    assert found.of("openclaw.events.main.custom") == "main"


def test_an_agent_with_the_default_prefix_takes_nobody_away() -> None:
    """A server of its own, and the subjects of all."""
    found = owners("openclaw.main", main="openclaw.main", tim="openclaw.main")
    assert found.of("openclaw.main.bob.custom") == "bob"
    assert found.of("openclaw.main.custom") == "main"


def test_the_documents_full_options() -> None:
    file = Path(__file__).parent.parent / "config" / "documents" / "full-options.yml"
    found = Owners(load_text(file.read_text(), environ={}).routes)
    assert found.of("openclaw.events.my-agent.conversation_message_out") == "my-agent"
    assert found.of("openclaw.events.main.conversation_message_out") == "main"
