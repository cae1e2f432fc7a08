"""The gate: decides at hello who a client is. Where any rule exists, who cannot prove a name is refused.

Rules are those of config.yml (`token`, `tokenFile`, `allowUids`, `allowGids` of an agent, `admin`) and the
tokens that `eventd token` has made. Without any, the socket's file mode is all there is: whoever may open the
socket is the one user of all agents.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Protocol
from weakref import WeakValueDictionary

from ..config.settings import AccessSettings, AgentAccess
from ..errors import ConfigError, EventdError
from ..paths import admin_token_file, token_folder
from ..secret import lines_of
from .identity import Identity, Proof
from .tokens import AdminToken, TokenFolder, TokensUnusable, is_known

PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]+")
"""Names that `allowUnlisted` lets in: none that looks like another one's in other letters."""


NO_RULE = AgentAccess()
SEE_LOG = "the daemon's log says why"


class NotAdmitted(EventdError):
    """A client may not speak as the agent that it names.

    What it says is for strangers and names no files; the cause says more, for the log.

    Attributes:
        lacks_token: It has shown none, and may just not know that one is needed.
    """

    def __init__(self, message: str, *, hint: str = "", lacks_token: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.lacks_token = lacks_token


class Process(Protocol):
    """Who is at the other end of the socket, as the kernel says it."""

    @property
    def uid(self) -> int:
        """Its user."""

    @property
    def gids(self) -> frozenset[int]:
        """All its groups."""


class Gate:
    """Decides who may speak as whom. It reads small files, so it is asked in a worker thread.

    Args:
        settings: The rules of the configuration.
        data_dir: Where the tokens are that eventd has made.

    Attributes:
        changes: Counts how often `look` has seen other files than before.
    """

    def __init__(self, settings: AccessSettings, data_dir: Path) -> None:
        self._tokens = TokenFolder(token_folder(data_dir))
        self._admin_token = AdminToken(admin_token_file(data_dir))
        # Those of clients that are here: names cost a stranger nothing, and must not fill the memory.
        self._identities = WeakValueDictionary[tuple[str, Proof], Identity]()
        self._making = Lock()
        self._settings = settings
        self._seen = self._signature()
        self.changes = 0

    def configure(self, settings: AccessSettings) -> None:
        """Go by other rules; who is here already has to be looked at again."""
        self._settings = settings
        self.changes += 1

    def prepare(self) -> None:
        """Make the administrator's token, where there is none.

        Raises:
            TokensUnusable: It cannot be made.
        """
        self._admin_token.ensure()
        self._admin_token.warn_if_exposed()
        self._seen = self._signature()

    def admit(self, agent: str, digest: str | None, peer: Process | None) -> Identity:
        """Return who a client is; the same object as long as somebody holds it and nothing has changed.

        Args:
            agent: The name in its hello; a sound one.
            digest: SHA-256 of the token that it shows.
            peer: Its process, where the kernel says it.

        Raises:
            NotAdmitted: It may not speak as that agent.
        """
        settings = self._settings  # of now: this runs in a thread
        try:
            listed = self._made()
        except NotAdmitted:
            if digest is not None and self._is_admin(settings, digest, peer):  # who can mend it
                return self._identity(settings, agent, Proof.ADMIN)
            raise
        if not settings.has_rules and not listed:
            return self._identity(settings, agent, Proof.OPEN)
        if self._is_admin(settings, digest, peer):
            return self._identity(settings, agent, Proof.ADMIN)
        rule = settings.agents.get(agent, NO_RULE)
        is_listed = agent in listed
        if not (is_listed or rule.has_rule):
            self._check_unlisted(settings, agent, {*listed, *settings.agents}, lacks_token=digest is None)
            return self._identity(settings, agent, Proof.UNLISTED)
        tokens = self._tokens_of(agent, rule, is_listed=is_listed)
        return self._identity(settings, agent, _prove(agent, rule, tokens, digest, peer))

    def look(self) -> bool:
        """Return whether a file with tokens is not what it was at the last look.

        Removing the administrator's token is how it is rotated: a new one is made.
        """
        with suppress(TokensUnusable):  # no room on the disk, say; the next look tries again
            self._admin_token.ensure()
        seen = self._signature()
        changed = seen != self._seen
        self._seen = seen
        self.changes += changed
        return changed

    def _tokens_of(self, agent: str, rule: AgentAccess, *, is_listed: bool) -> list[str] | None:
        """Return what is good as a token of an agent; None where it needs none.

        Args:
            is_listed: Whether it has a file. It needs a token then, even if the file has gone just now.
        """
        try:
            made = (self._tokens.lines(agent) or []) if is_listed else None
            configured = None if rule.token is None else lines_of(rule.token.reveal())
        except (TokensUnusable, ConfigError) as error:
            raise NotAdmitted(f"the token of agent {agent!r} cannot be checked now", hint=SEE_LOG) from error
        if made is None and configured is None:
            return None
        return [*(made or ()), *(configured or ())]

    def _is_admin(self, settings: AccessSettings, digest: str | None, peer: Process | None) -> bool:
        """Look at the token where one is shown: an agent of an administrator's user is only that agent."""
        if digest is None:
            return _is_among(peer, settings.admin_uids, settings.admin_gids)
        try:
            return is_known(digest, self._admin_token.lines())
        except TokensUnusable:
            return False  # nobody is an administrator by a file that cannot be read

    def _check_unlisted(
        self, settings: AccessSettings, agent: str, names: Iterable[str], *, lacks_token: bool
    ) -> None:
        """Let a name without a rule in only where that is said, and nobody can take it for another's."""
        if not settings.allow_unlisted:
            raise NotAdmitted(
                f"no rule lets anybody speak as agent {agent!r}",
                hint=f"`eventd token new {agent}` makes one; `allowUnlisted: true` lets in agents without",
                lacks_token=lacks_token,
            )
        others = (name.casefold() for name in names if name != agent)
        if not PLAIN_NAME.fullmatch(agent) or agent.casefold() in others:
            raise NotAdmitted(
                f"the name {agent!r} could be taken for another agent's",
                hint="an agent without a rule has a name of plain letters, digits, '.', '_' and '-', "
                "which is no listed one in other letters",
            )

    def _made(self) -> set[str]:
        try:
            return self._tokens.needed()
        except TokensUnusable as error:
            raise NotAdmitted("nobody can be let in now", hint=SEE_LOG) from error

    def _identity(self, settings: AccessSettings, agent: str, proof: Proof) -> Identity:
        """Return the identity of all who have the same rights under a name."""
        made = _make_identity(settings, agent, proof)
        with self._making:
            known = self._identities.get((agent, proof))
            if known is None or known.rights != made.rights:
                known = self._identities[agent, proof] = made
            return known

    def _signature(self) -> tuple[object, ...]:
        """Return what changes with the files that hold tokens."""
        files = [self._admin_token.path, self._tokens.path, self._tokens.reminder]
        with suppress(OSError):
            files += sorted(self._tokens.path.iterdir())
        tokens = (rule.token for rule in self._settings.agents.values())
        files += [token.path for token in tokens if token is not None and token.path is not None]
        return tuple(map(_stamp, files))


def _make_identity(settings: AccessSettings, agent: str, proof: Proof) -> Identity:
    admin = proof in (Proof.OPEN, Proof.ADMIN)
    rule = settings.agents.get(agent, NO_RULE) if proof is not Proof.UNLISTED else NO_RULE
    grants = {agent: rule.can_read}
    if admin:
        grants = {name: other.can_read for name, other in settings.agents.items() if other.can_read}
    return Identity(agent, admin=admin, proof=proof, grants=grants, can_write_as=rule.can_write_as)


def _prove(
    agent: str, rule: AgentAccess, tokens: list[str] | None, digest: str | None, peer: Process | None
) -> Proof:
    """Return how the agent is proved; every kind of rule that it has must be met.

    Args:
        tokens: Those that are good for it; None where it needs none.
    """
    proof = Proof.PEER
    if tokens is not None:
        if digest is None:
            raise NotAdmitted(
                f"agent {agent!r} has to show its token",
                hint="set EVENTD_TOKEN; `eventd token new` makes one",
                lacks_token=True,
            )
        if not is_known(digest, tokens):
            raise NotAdmitted(
                f"the token is not one of agent {agent!r}",
                hint="check EVENTD_TOKEN; it may have been revoked",
            )
        proof = Proof.TOKEN
    if (rule.uids or rule.gids) and not _is_among(peer, rule.uids, rule.gids):
        who = f"user {peer.uid}" if peer is not None else "this process"
        raise NotAdmitted(
            f"{who} may not speak as agent {agent!r}",
            hint=f"add it to `agents.{agent}.allowUids` or `allowGids` in config.yml",
        )
    return proof


def _is_among(peer: Process | None, uids: frozenset[int], gids: frozenset[int]) -> bool:
    return peer is not None and (peer.uid in uids or not gids.isdisjoint(peer.gids))


def _stamp(path: Path) -> tuple[object, ...]:
    try:
        found = path.stat()
    except OSError as error:
        return (path, error.errno)
    return (path, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
