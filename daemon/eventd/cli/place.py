"""Where the daemon and its configuration are, as the global options say; passed to every command."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from .options import AGENT_VARIABLE

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client

    from ..config.settings import Config

DEFAULT_AGENT = "main"
"""OpenClaw's main agent: who speaks where nobody is named."""


@dataclass(frozen=True, slots=True)
class Place:
    """The global options.

    Attributes:
        config: The config file that was named, if any.
        socket: The socket that was named, if any.
    """

    config: Path | None = None
    socket: Path | None = None

    def load_config(self) -> "Config":
        """Return the configuration that is in effect.

        Raises:
            ConfigError: It cannot be used.
        """
        from ..config.load import load_config

        return load_config(self.config)

    def connect(self, agent: str | None = None) -> "Client":
        """Connect to the daemon. Does not wait for one that is not there.

        Clients in other languages do not read the config file, and reading it takes longer than all the rest.
        So it is only read where it was named, or where nobody answers at the usual places.

        Args:
            agent: Who speaks; `$EVENTD_AGENT`, else `main`, when absent.

        Raises:
            EventdClientError: It cannot be reached.
        """
        from eventd_ipc.errors import NotRunning

        if self.socket is None and self.config is not None:
            return _connect(agent, self.load_config().socket.path)
        try:
            return _connect(agent, self.socket)
        except NotRunning:
            socket = None if self.socket is not None else self._configured_socket()
            if socket is None:
                raise
        return _connect(agent, socket)

    def _configured_socket(self) -> Path | None:
        from ..errors import ConfigError

        with contextlib.suppress(ConfigError):  # that nobody answers is the news
            return self.load_config().socket.path
        return None


def _connect(agent: str | None, socket: Path | None) -> "Client":
    from eventd_ipc.blocking import connect

    name = agent or os.environ.get(AGENT_VARIABLE) or DEFAULT_AGENT
    return connect(name, socket=socket, client=f"eventd-cli/{__version__}", patience=0.0)
