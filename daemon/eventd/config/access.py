"""From the sections of a file to who may do what on the socket, and how much."""

import re

from ..errors import ConfigError
from ..secret import HASHED, Secret, lines_of
from .merge import given
from .problems import ROOT, KeyPath, Report
from .schema import AdminSection, AgentSection, EventStore, RouteSection
from .servers import Servers
from .settings import AccessSettings, AgentAccess, Rate, RateSettings, SocketSettings

BY_ALL = 0o006  # permissions with which everybody on the machine can use a socket
BY_GROUP = 0o060  # those with which its group can

_HASH = re.compile(re.escape(HASHED) + "[0-9a-fA-F]{64}")


class Access:
    """Makes the settings; what is wrong goes into the report."""

    def __init__(self, report: Report, servers: Servers) -> None:
        self._report = report
        self._servers = servers

    def access(self, node: EventStore, socket: SocketSettings) -> AccessSettings:
        """Return who may do what."""
        agents = {name: self._agent(name, entry) for name, entry in (node.agents or {}).items()}
        admin, path = node.admin or AdminSection(), (*ROOT, "admin")
        settings = AccessSettings(
            agents=agents,
            allow_unlisted=given(node.allow_unlisted, False),
            admin_uids=self._some(admin.allow_uids, (*path, "allowUids")),
            admin_gids=self._some(admin.allow_gids, (*path, "allowGids")),
        )
        if not settings.has_rules:
            self._warn_of_open_socket(socket)
        return settings

    def _warn_of_open_socket(self, socket: SocketSettings) -> None:
        mode = socket.mode or (BY_GROUP if socket.group is not None else 0)
        if mode & (BY_ALL | BY_GROUP):
            who, key = (
                ("everybody on this machine", "mode") if mode & BY_ALL else ("the whole group", "group")
            )
            self._report.warning(
                (*ROOT, "socket", key),
                f"{who} can read and write as every agent, and look after eventd, until agents have tokens "
                "(`eventd token new`) or allowUids",
            )

    def rates(self, node: EventStore) -> RateSettings:
        """Return how much agents may send."""
        default = self._rate(node, ROOT, None)
        entries = (node.agents or {}).items()
        return RateSettings(
            default, {name: self._rate(entry, (*ROOT, "agents", name), default) for name, entry in entries}
        )

    def _agent(self, name: str, entry: AgentSection) -> AgentAccess:
        path = (*ROOT, "agents", name)
        for key, others in (("canRead", entry.can_read), ("canWriteAs", entry.can_write_as)):
            if name in (others or ()):
                self._report.warning((*path, key), f"{name} may do that anyway, as itself")
        token = self._servers.secret(entry.token, entry.token_file, (*path, "token"))
        if token is not None:
            self._check_token(token, (*path, "token" if token.path is None else "tokenFile"))
        return AgentAccess(
            token=token,
            uids=self._some(entry.allow_uids, (*path, "allowUids")),
            gids=self._some(entry.allow_gids, (*path, "allowGids")),
            can_read=frozenset(entry.can_read or ()) - {name},
            can_write_as=frozenset(entry.can_write_as or ()) - {name},
        )

    def _check_token(self, token: Secret, path: KeyPath) -> None:
        """Report a token with which nobody could ever be let in."""
        try:
            lines = lines_of(token.reveal())
        except ConfigError:
            return  # reported already
        if not lines:
            self._report.problem(path, "holds no token: what begins with # is a comment")
        if any(line.startswith(HASHED) and not _HASH.fullmatch(line) for line in lines):
            self._report.problem(path, f"has something else than 64 hexadecimal digits behind {HASHED}")

    def _some(self, numbers: list[int] | None, path: KeyPath) -> frozenset[int]:
        if numbers is not None and not numbers:
            self._report.problem(path, "names nobody; take the line out, or name those who are let in")
        return frozenset(numbers or ())

    def _rate(self, section: RouteSection, path: KeyPath, parent: Rate | None) -> Rate | None:
        if section.max_events_per_second is not None:
            per_second = section.max_events_per_second
            return Rate(per_second, given(section.burst, max(1, round(per_second))))
        if section.burst is None:
            return parent
        if parent is None:
            self._report.problem((*path, "burst"), "is the burst of a limit; add maxEventsPerSecond")
            return None
        return Rate(parent.per_second, section.burst)
