"""The running daemon, as a client meets it: its welcome and its status, or why there is none."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eventd_ipc.blocking import Client
from eventd_ipc.errors import EventdClientError
from eventd_ipc.messages import Welcome

from ..errors import EventdError

Tree = Mapping[str, Any]

Connect = Callable[[str | None], Client]
"""Connects to the daemon as an agent (None: whoever the CLI is); as an administrator where it can."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of asking the daemon how it is.

    Attributes:
        welcome: None where nobody answers us.
        status: Its status document; empty where it does not tell us.
        error: Why one of the two is missing.
        seconds: How long the answer took.
    """

    welcome: Welcome | None = None
    status: Tree = field(default_factory=dict)
    error: Exception | None = None
    seconds: float = 0.0

    @property
    def socket(self) -> Path | None:
        """Where it listens, as it says."""
        return Path(self.status["socket"]) if self.status.get("socket") else None

    def routes(self) -> Mapping[str, Tree]:
        """Return what it says of each configured route, by the route's name in status."""
        routes = [route for route in self.status.get("routes") or () if route.get("configured", True)]
        return {str(route.get("name")): route for route in routes}

    def part(self, name: str) -> Tree:
        """Return a part of the status; empty where it is missing."""
        found = self.status.get(name)
        return found if isinstance(found, Mapping) else {}


def visit(connect: Connect) -> Visit:
    """Ask the daemon how it is. Blocks, as long as the client's own deadline at the most."""
    began = time.monotonic()
    client = None
    try:
        client = connect(None)
        welcome = client.welcome
    except (EventdClientError, EventdError, OSError) as error:
        if client is not None:
            client.close()
        return Visit(error=error, seconds=time.monotonic() - began)
    with client:
        try:
            status: Tree = client.status()
        except EventdClientError as error:
            return Visit(welcome, error=error, seconds=time.monotonic() - began)
    return Visit(welcome, status, seconds=time.monotonic() - began)


def hint_of(error: Exception) -> str:
    """Return what an error says can be done about it."""
    return str(getattr(error, "hint", ""))


def text_of(error: Exception) -> str:
    """Return what an error says, without its hint."""
    with suppress(IndexError):
        if isinstance(error, EventdClientError):
            return str(error.args[0])  # str() of these has the hint in it
    return str(error) or type(error).__name__
