"""Which streams there are, and how the command line reaches them: with each route's own login."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ..config.settings import Config
from ..doctor.endpoints import endpoint_of
from ..doctor.visit import Visit
from ..embedded.server import EmbeddedServer
from ..jetstream.endpoint import Endpoint
from ..jetstream.session import ApiError, Session, open_session
from ..jetstream.streams import STREAM_NOT_FOUND, stream_info, streams_for_subject
from ..routes import DEFAULT_ROUTE, Route


@dataclass(slots=True)
class Place:
    """A stream as routes name it.

    Attributes:
        account: Name of the first route that logs in to its account.
        route: The one whose login is used.
        routes: Names of all that go there.
    """

    account: str
    name: str
    route: Route
    routes: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The stream's name, with its account where that is not the default one."""
        return self.name if self.account == "default" else f"{self.name} (agent {self.account})"


def called(name: str) -> str:
    """Return a route's name as people know it."""
    return "default" if name == DEFAULT_ROUTE else name


def places(config: Config) -> list[Place]:
    """Return the streams of the configured routes, each once."""
    found: dict[tuple[str, str], Place] = {}
    for route in config.routes.all():
        account = called(config.routes.account_of(route))
        place = found.setdefault((account, route.stream), Place(account, route.stream, route))
        place.routes.append(called(route.name))
    return list(found.values())


async def streams_of(session: Session, place: Place) -> list[str]:
    """Return the streams that have the events of a place's routes; none before the first event.

    Where somebody else's wide stream takes the subjects, it is that one.
    """
    try:
        await stream_info(session, place.name)
    except ApiError as error:
        if error.err_code != STREAM_NOT_FOUND:
            raise
        return await streams_for_subject(session, f"{place.route.prefix}.>")
    return [place.name]


class Servers:
    """Connects to the servers of the routes.

    Args:
        visited: The daemon that runs, if one does.
        embedded: The embedded server, where it is ours to run because no daemon does.
    """

    def __init__(self, config: Config, visited: Visit, embedded: EmbeddedServer | None = None) -> None:
        self._config = config
        self._visited = visited
        self._embedded = embedded

    @contextlib.asynccontextmanager
    async def session(self, route: Route) -> AsyncIterator[Session]:
        """Connect as a route.

        Raises:
            NatsError: The server does not let us in, or is not there.
            ConfigError: Where it is, or its secrets, cannot be known.
        """
        async with open_session(await self._endpoint(route), route.name) as session:
            yield session

    async def _endpoint(self, route: Route) -> Endpoint:
        if route.server.embedded and self._embedded is not None:
            found = await self._embedded.wait_ready()
            return Endpoint(found.urls, found.credentials)
        return await endpoint_of(self._config, route, self._visited)
