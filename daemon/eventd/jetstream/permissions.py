"""Permissions that a login lacks. The server answers a denied publish or subscription with silence.

It says so beside, in an -ERR of the connection, which names the subject and nothing else. So whoever waits
for an answer says what the wait depends on, and is woken when one of these subjects is denied.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

import anyio

from ..errors import NatsError

logger = logging.getLogger(__name__)

_DENIED = re.compile(
    r'permissions violation for (publish|subscription) to "((?:[^"\\]|\\.)*)"', re.IGNORECASE
)
API = "$JS.API"
"""What subjects of the JetStream API begin with, where no domain is named."""

_ESCAPED = re.compile(r"\\(.)")


class PermissionMissing(NatsError):
    """The NATS login may not do what eventd needs; the message names the subject.

    Attributes:
        subject: What was denied.
        answers: Whether it is the subscription that every answer comes by. It is made once for a connection,
            so another connection is needed once it is granted.
    """

    def __init__(self, action: str, subject: str, *, answers: bool = False) -> None:
        grant = "publish" if action == "publish" else "subscribe"
        super().__init__(
            f"the NATS login has no permission to {grant} to {subject}",
            hint=f"grant its user {grant} on {subject}; "
            "`eventd nats-config` prints a server configuration with everything that is needed",
        )
        self.subject = subject
        self.answers = answers


class Wait:
    """A block of code that is left with `PermissionMissing` as soon as what it needs is denied."""

    def __init__(self, permissions: "Permissions", subjects: Iterable[str]) -> None:
        # In lower case, as nats-py tells them, to as they are.
        self.subjects = {subject.lower(): subject for subject in subjects}
        self._permissions = permissions
        self._scope = anyio.CancelScope()
        self._error: PermissionMissing | None = None

    def end(self, error: PermissionMissing) -> None:
        """Wake who waits; what was denied first is what is told."""
        self._error = self._error or error
        self._scope.cancel()

    def __enter__(self) -> None:
        self._scope.__enter__()
        self._permissions.waits.append(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._permissions.waits.remove(self)
        self._scope.__exit__(kind, error, traceback)
        if self._error is not None:
            raise self._error
        if error is None:  # what was denied once is granted by now
            for subject in self.subjects:
                self._permissions.denied.pop(subject, None)


@dataclass(slots=True)
class Permissions:
    """What the server has denied one connection.

    Attributes:
        inbox: What the connection's own reply subjects begin with.
        api: What its requests to JetStream begin with.
        denied: What the server said of each subject, in lower case, until it is granted; for status.
        waits: Who waits for an answer now.
    """

    inbox: str
    api: str = API
    denied: dict[str, str] = field(default_factory=dict)
    waits: list[Wait] = field(default_factory=list)
    _no_answers: bool = False

    def note(self, text: str) -> bool:
        """Take in what the server reports; return whether it was a denial."""
        match = _DENIED.search(text)
        if match is None:
            return False
        action, subject = match[1].lower(), _ESCAPED.sub(r"\1", match[2]).lower()
        self.denied[subject] = text
        if action == "subscription" and subject.startswith(f"{self.inbox.lower()}."):
            self._no_answers = True
            waiting = list(self.waits)
            for wait in waiting:
                wait.end(self._no_inbox())
        else:
            waiting = [wait for wait in self.waits if action == "publish" and subject in wait.subjects]
            for wait in waiting:
                wait.end(PermissionMissing(action, wait.subjects[subject]))
        if not waiting:  # otherwise those tell who waited, in their own words
            logger.warning("NATS permission missing: %s", text, extra={"action": "nats_denied"})
        return True

    def needed(self, *subjects: str) -> Wait:
        """Return a context that is left when a publish to one of the subjects, or our inbox, is denied.

        Raises:
            PermissionMissing: The inbox was denied before; nothing can be answered on this connection.
        """
        if self._no_answers:
            raise self._no_inbox()
        return Wait(self, [name for subject in subjects for name in self._names(subject)])

    def _names(self, subject: str) -> Iterator[str]:
        """Yield a subject as the server may call it.

        The server whose JetStream has our domain maps that into its own API before it looks at permissions.
        """
        yield subject
        if self.api != API and subject.startswith(f"{self.api}."):
            yield API + subject.removeprefix(self.api)

    def _no_inbox(self) -> PermissionMissing:
        return PermissionMissing("subscription", f"{self.inbox}.>", answers=True)
