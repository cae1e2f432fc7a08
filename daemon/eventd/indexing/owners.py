"""Whose subject a stream's message came on, and whether it may be theirs in that stream.

An agent that holds a login of its own may write what it likes into its own stream, on the subjects of others
too. So a stream is only believed about the agents whose routes go there. The default route's stream is
believed about all: its login is the operator's, and agents that have an entry of their own today may have
their history there.
"""

from collections.abc import Collection
from functools import lru_cache

from ..events.attribution import NOBODYS, UPSTREAM_AGENT, Origin
from ..jetstream.reading import Message
from ..routes import DEFAULT_ROUTE, Routes, StreamKey
from ..shipping.fleet import Fleet
from ..subjects import agent_of, agent_prefix

CACHED_SUBJECTS = 8192


class Owners:
    """Tells whose the messages of one stream are.

    Args:
        stream: Which stream.
        routes: All of the configuration.
        going: Names of the routes that go there.
    """

    def __init__(self, stream: StreamKey, routes: Routes, going: Collection[str]) -> None:
        self._stream = stream.name
        self._agents = None if DEFAULT_ROUTE in going else frozenset(going)
        self._proof_needed = any(
            route.shared_account for route in routes.all() if routes.account_of(route) == stream.account
        )
        # An agent that is called like the token is meant where it has an entry.
        self._upstream = self._agents is None and UPSTREAM_AGENT not in routes.by_agent
        # The longest first: an agent's own prefix may lie below the default one.
        self._prefixes = sorted({route.prefix for route in routes.all()}, key=len, reverse=True)
        # Below these there are the subjects of one agent only: who may write there may not write as others.
        self._own = {
            route.prefix: agent
            for agent, route in routes.by_agent.items()
            if agent_prefix(route.prefix, agent) == route.prefix != routes.default.prefix
        }
        self._agent_of = lru_cache(CACHED_SUBJECTS)(self._find)

    def origin(self, message: Message) -> Origin:
        """Return what the stream, the subject and the headers of a message say about whose it is."""
        headers = message.headers
        # What the server was made to store here, as an answer to somebody, cannot name this stream.
        if self._proof_needed and message.expected_stream != self._stream:
            return NOBODYS
        if headers and self._is_answer(message):
            return NOBODYS
        agent = self._agent_of(message.subject)
        if agent is None:
            return NOBODYS
        # What eventd has written as an agent of that name is that agent's.
        by_session = (
            agent == UPSTREAM_AGENT and self._upstream and not message.msg_id.startswith(f"{UPSTREAM_AGENT}:")
        )
        return Origin(agent, by_session)

    def _is_answer(self, message: Message) -> bool:
        """Whether it has the headers of an answer of the server that was stored: a status, or a copy."""
        headers = message.headers
        return (
            (not message.body and "Status" in headers)
            or headers.get("Nats-Stream", self._stream) != self._stream
            or headers.get("Nats-Subject", message.subject) != message.subject
        )

    def _find(self, subject: str) -> str | None:
        """Return the agent, None for a subject that no agent would have here."""
        for prefix in self._prefixes:
            if (agent := agent_of(prefix, subject)) is not None:
                mine = agent == self._own.get(prefix, agent)
                return agent if mine and (self._agents is None or agent in self._agents) else None
        return None


class Ownership:
    """Knows the owners of each stream.

    Args:
        fleet: Knows the routes, and where each goes to: now and then to another stream than its own.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._routes = fleet.routes  # those that the owners were made for
        self._made: dict[StreamKey, tuple[frozenset[str], Owners]] = {}

    def of(self, stream: StreamKey) -> Owners:
        """Return the owners of a stream as of now. They change with the routes, and where these go to."""
        if self._routes is not self._fleet.routes:
            self._routes = self._fleet.routes
            self._made.clear()
        going = self._fleet.routes_to(stream)
        known = self._made.get(stream)
        if known is None or known[0] != going:
            known = self._made[stream] = going, Owners(stream, self._routes, going)
        return known[1]
