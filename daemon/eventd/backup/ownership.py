"""Whose the messages of a stream are, decided as the daemon does it for what it reads."""

from collections.abc import Callable

from ..config.settings import Config
from ..events.attribution import attribute
from ..events.normal import normalise
from ..indexing.owners import Owners
from ..jetstream.reading import Message
from ..routes import StreamKey
from .places import Place, called

OwnerOf = Callable[[Message], str]
"""Returns whose a message is; "" for nobody's, which is not put in as anybody's either."""


def owner_of(config: Config, place: Place, stream: str) -> OwnerOf:
    """Return what tells whose the messages of a stream are.

    Args:
        place: Where it is, or goes to.
        stream: Its name where the messages are from: they may name it as a proof of who wrote them.
    """
    routes = config.routes
    going = [route.name for route in routes.all() if called(route.name) in place.routes]
    owners = Owners(StreamKey(routes.account_of(place.route), stream), routes, going)

    def owner(message: Message) -> str:
        origin = owners.origin(message)
        if origin.agent and not origin.by_session and message.msg_id.startswith(f"{origin.agent}:"):
            return origin.agent  # as most are; their bodies need no second look
        agent, _ = attribute(origin, message.body, normalise(message.body))
        return agent

    return owner
