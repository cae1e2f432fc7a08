"""Where the daemon and its configuration are, as the global options say; passed to every command."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from .options import AGENT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        timeout: Seconds for each answer of the daemon; as the client has it when absent.
    """

    config: Path | None = None
    socket: Path | None = None
    timeout: float | None = None

    def load_config(self, source: Path | None = None) -> "Config":
        """Return the configuration that is in effect.

        Args:
            source: Read this file, whatever else there is.

        Raises:
            ConfigError: It cannot be used.
        """
        from ..config.load import load_config

        return load_config(source or self.config)

    def connect(self, agent: str | None = None, *, admin: bool = False, token: str | None = None) -> "Client":
        """Connect to the daemon. Does not wait for one that is not there.

        Where `$EVENTD_TOKEN` has no token and the daemon asks for one, the administrator's is shown, if this
        user can read it. Finding it takes time, so it is only looked for then.

        Args:
            agent: Who speaks; `$EVENTD_AGENT`, else `main`, when absent.
            admin: Show it also where the daemon lets us in as an agent.
            token: Show this one, and no other.

        Raises:
            EventdClientError: It cannot be reached.
        """
        from eventd_ipc.errors import Unauthorised
        from eventd_ipc.session import TOKEN_VARIABLE

        if token is not None or os.environ.get(TOKEN_VARIABLE):
            return self._reach(agent, token)
        try:
            client = self._reach(agent, None)
        except Unauthorised:
            if (as_admin := self._reach_as_admin(agent)) is None:
                raise
            return as_admin
        if client.welcome.admin or not admin or (as_admin := self._reach_as_admin(agent)) is None:
            return client
        client.close()
        return as_admin

    def _reach(self, agent: str | None, token: str | None) -> "Client":
        """Connect where the daemon is found.

        Clients in other languages do not read the config file, and reading it takes longer than all the rest.
        So it is only read where it was named, or where nobody answers at the usual places.
        """
        from eventd_ipc.errors import NotRunning

        if self.socket is None and self.config is not None:
            # A bad file is no reason not to ask the daemon, which has the configuration of before.
            return self._connect(agent, token, self._configured_socket(self.config.exists()))
        try:
            return self._connect(agent, token, self.socket)
        except NotRunning:
            socket = None if self.socket is not None else self._configured_socket()
            if socket is None:
                raise
        return self._connect(agent, token, socket)

    def _reach_as_admin(self, agent: str | None) -> "Client | None":
        """Connect with the administrator's token, if it can be read and the daemon that is there takes it.

        It is shown on sockets of the user that owns it, and to nobody else.
        """
        from eventd_ipc.errors import NotRunning, Unauthorised
        from eventd_ipc.paths import client_sockets

        from ..access.tokens import AdminToken
        from ..errors import EventdError
        from ..paths import admin_token_file

        for folder, configured in self._data_folders():
            try:
                file = admin_token_file(folder)
                token = next(iter(AdminToken(file).lines()), None)
                if token is None:
                    continue
                owner = file.stat().st_uid
                for socket in client_sockets(self.socket or configured):
                    if not socket.exists():
                        continue
                    if socket.stat().st_uid != owner:
                        break
                    with contextlib.suppress(NotRunning):  # left behind; the next one answers
                        return self._connect(agent, token, socket)
            except (EventdError, OSError, Unauthorised):
                continue
        return None

    def _data_folders(self) -> "Iterator[tuple[Path, Path | None]]":
        """Yield where the daemon may have its data, with the socket that is configured, if that is known.

        A file that cannot be used now, or names another folder than before, says nothing about the daemon
        that runs; so what can be read of it is tried, and the default folder too.
        """
        from ..config.load import glance
        from ..errors import ConfigError
        from ..paths import data_folder

        found: Path | None = None
        try:
            config = self.load_config()
            found = config.data_dir
            yield found, config.socket.path
        except ConfigError:
            if (found := glance(self.config)) is not None:
                yield found, None
        if found != data_folder():
            yield data_folder(), None

    def _configured_socket(self, forgiving: bool = True) -> Path | None:
        """Return the socket that is configured.

        Args:
            forgiving: Return None where the file cannot be used: that nobody answers is the news.
        """
        from ..errors import ConfigError

        try:
            return self.load_config().socket.path
        except ConfigError:
            if not forgiving:
                raise
        return None

    def _connect(self, agent: str | None, token: str | None, socket: Path | None) -> "Client":
        from eventd_ipc.blocking import TIMEOUT, connect

        return connect(
            agent or os.environ.get(AGENT_VARIABLE) or DEFAULT_AGENT,
            socket=socket,
            token=token,
            client=f"eventd-cli/{__version__}",
            timeout=self.timeout or TIMEOUT,
            patience=0.0,
        )
