"""What doctor can do to streams: make a missing one, and let a wide one list its agents."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

from ..config.settings import Config
from ..errors import NatsError
from ..jetstream.session import open_session
from ..jetstream.stream import describe
from ..jetstream.streams import Subjects, ensure_stream, narrow, stream_info
from ..routes import Route
from ..subjects import agent_prefix
from .endpoints import endpoint_of
from .model import Fix
from .streams import base_of, label, lists_agents
from .visit import Visit


@dataclass(frozen=True, slots=True)
class Repairs:
    """Repairs for one route, each over a connection of its own.

    Attributes:
        timeout: Seconds for each.
    """

    config: Config
    route: Route
    visited: Visit
    timeout: float

    def make(self) -> Fix:
        """Return what makes the route's stream, as the daemon would."""
        return Fix(f"make the stream {self.route.stream} of route {label(self.route)}", self._make)

    def narrow(self, wide: str, subjects: Sequence[str]) -> Fix:
        """Return what lets a wide stream list its agents, to leave room for the route's own.

        Args:
            subjects: Its patterns that are in the way.
        """
        what = (
            f"let stream {wide}, which eventd did not make, list its agents in place of "
            f"{', '.join(subjects)}, and make {self.route.stream}. What {wide} holds stays in it. An agent "
            "that has nothing in it yet is refused there (dead letters) until it is added, or until "
            "manageStream: true lets eventd add it"
        )

        async def apply() -> str:
            return await self._narrow(wide)

        return Fix(what, apply, stream=wide)

    async def _make(self) -> str:
        subjects = Subjects(f"{base_of(self.route)}.>", narrow=lists_agents(self.config.routes, self.route))
        with _deadline(self.timeout):
            endpoint = await endpoint_of(self.config, self.route, self.visited)
            async with open_session(endpoint, self.route.name) as session:
                stream = await ensure_stream(session, self.route, subjects)
        if stream is None:
            return f"{self.route.stream} is made with the first event"
        return f"stream {stream.name} takes {', '.join(stream.subjects)}"

    async def _narrow(self, wide: str) -> str:
        """Narrow it with the login of the route whose stream it is, if there is one."""
        routes, own = self.config.routes, f"{base_of(self.route)}.>"
        owner = next((route for route in routes.all() if route.stream == wide), self.route)
        agents = [route for route in routes.by_agent.values() if route.stream == wide]
        with _deadline(self.timeout):
            endpoint = await endpoint_of(self.config, owner, self.visited)
            async with open_session(endpoint, owner.name) as session:
                stream = describe(session.server_version, owner, await stream_info(session, wide))
                listed = [f"{agent_prefix(route.prefix, route.name)}.>" for route in agents]
                await narrow(session, stream, [own], also=listed)
                left = (await stream_info(session, wide))["config"]["subjects"]
            endpoint = await endpoint_of(self.config, self.route, self.visited)
            async with open_session(endpoint, self.route.name) as session:
                made = await ensure_stream(session, self.route, Subjects(own))
        text = f"stream {wide} takes {', '.join(left)} now"
        return f"{text}; {made.name} takes {', '.join(made.subjects)}" if made else text


@contextmanager
def _deadline(timeout: float) -> Iterator[None]:
    try:
        with anyio.fail_after(timeout):
            yield
    except TimeoutError as error:
        raise NatsError(f"no answer within {timeout:g} s; it may have been done") from error
