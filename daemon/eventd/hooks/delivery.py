"""Brings the events of a hook to the daemon, or into the spool; in order, once, and in time."""

from __future__ import annotations

import time

from ..spool.files import SETTLED, Spool, Spooled, Unreadable, tag_of
from .client import Away, Client, Refused
from .token import admin_token, named_token

TYPE_CHECKING = False  # typing's own takes 3 ms to load
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .notes import Notes

EVENT_TIME = 0.3  # seconds for the daemon to take events
CONTEXT_TIME = 1.5  # seconds for it to answer with the context, these included
MAX_HELP = 20  # files of other sessions that one call takes along

FINAL = frozenset(
    {
        "malformed",
        "too_large",
        "id_conflict",
        "forgotten",
        "forbidden",
        "disabled",
        "unknown_op",
        "bad_request",
        "not_found",
    }
)
"""Codes that the same events meet again and again, so they are not kept (`ClientAction.DROP_…`)."""

type Event = dict[str, Any]


class Delivery:
    """One call's way to the daemon.

    Args:
        agent: Whose events these are.
        session: Their session key.
        spool: Where events wait; None where there is no place for them.
        place: The daemon's socket, where it was named.
    """

    def __init__(
        self,
        agent: str,
        session: str,
        spool: Spool | None,
        notes: Notes,
        environ: Mapping[str, str],
        place: str | None = None,
    ) -> None:
        self._agent = agent
        self._session = session
        self._spool = spool
        self._notes = notes
        self._environ = environ
        self._place = place
        self._token = named_token(environ)
        self._began = time.monotonic()
        self._client: Client | None = None

    def send(self, events: list[Event]) -> None:
        """Have events stored, or spool them. While older ones of the session wait, they go first."""
        waiting = self._waiting()
        try:
            try:
                self._deliver(events, waiting)
            except Refused as error:
                if error.code != "unauthorised" or self._token is not None:
                    raise
                self._leave()
                self._token = admin_token(self._environ, self._place)
                if self._token is None:
                    raise
                self._deliver(events, waiting)
        except Away as error:
            self._leave()
            self._keep(events, str(error))
        except Refused as error:
            if error.code in FINAL:
                self._notes.add(f"{len(events)} events were refused: {error}")
            else:
                self._leave()
                self._keep(events, str(error))

    def context(self, query: str | None, budget: int, *, fits: Callable[[str], bool]) -> str | None:
        """Return the context for the session; None where eventd does not answer in time.

        Args:
            query: What it is about.
            budget: Characters that are asked for.
            fits: Whether the tool takes a text; the budget is made smaller until it does.
        """
        if self._client is None:
            return None
        self._client.deadline = self._began + CONTEXT_TIME
        try:
            for _ in range(3):
                text = self._client.context(session=self._session, query=query or None, budget=budget)
                if fits(text):
                    return text
                budget //= 2
        except (Away, Refused) as error:
            self._notes.add(f"no context: {error}")
            return None
        return ""

    def close(self) -> None:
        """End the conversation."""
        self._leave()

    def _deliver(self, events: list[Event], waiting: list[Spooled]) -> None:
        client = Client(self._agent, self._token, self._began + EVENT_TIME, self._place)
        self._client = client
        if waiting and self._spool is not None and not self._send_waiting(client, self._spool, waiting):
            self._keep(events, "older events of the session wait")
        else:
            _store(client, events)

    # What waits.

    def _waiting(self) -> list[Spooled]:
        try:
            return self._spool.files() if self._spool is not None else []
        except OSError as error:
            self._notes.add(f"the spool cannot be used: {error}")
            return []

    def _send_waiting(self, client: Client, spool: Spool, waiting: list[Spooled]) -> bool:
        """Send what waits, that of this session first; return whether nothing of the session waits now."""
        tag = tag_of(self._session)
        own = [file for file in waiting if file.session == tag]
        others = [file for file in waiting if file.session != tag][:MAX_HELP]
        right = spool.begin_emptying()
        if right is None:  # another hook, or the daemon, is at it
            return not own
        try:
            if not self._send_files(client, spool, own):
                return False
            self._send_files(client, spool, others)
        finally:
            spool.end_emptying(right)
        return True

    def _send_files(self, client: Client, spool: Spool, files: list[Spooled]) -> bool:
        """Send files in order; return whether all of them are stored, or out of the way."""
        for file in files:
            try:
                document = spool.read(file)
                if document["agent"] != self._agent:
                    return False
                _store(client, document["events"])
                spool.remove(file)
            except FileNotFoundError:
                continue
            except Unreadable as error:
                self._put_aside(spool, file, str(error))
            except Refused as error:
                if error.code not in FINAL:
                    return False
                self._put_aside(spool, file, str(error))
        return True

    def _put_aside(self, spool: Spool, file: Spooled, why: str) -> None:
        self._notes.add(f"put aside {file.name}: {why}")
        spool.set_aside(file.name)

    def _keep(self, events: list[Event], why: str) -> None:
        """Spool events. What finds no room is counted, and the daemon tells it when it is back."""
        if not events:
            return
        if self._spool is None:
            self._notes.add(f"{len(events)} events are lost: {why}, and there is no folder for a spool")
            return
        document: dict[str, Any] = {"agent": self._agent, "session": self._session, "events": events}
        import hashlib  # takes 3 ms to load

        if token := self._token or admin_token(self._environ, self._place):
            document["token"] = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        try:
            self._spool.write(document)
            self._notes.add(f"{len(events)} events are spooled: {why}")
        except OSError as error:
            self._notes.add(f"{len(events)} events are lost: {why}, and the spool: {error}")
            try:
                self._spool.count_lost(len(events))
            except OSError:
                pass

    def _leave(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _store(client: Client, events: list[Event]) -> None:
    """Have events stored; those with which nothing is to be done any more are not sent again."""
    left = list(events)
    while left:
        try:
            client.emit(left)
        except Refused as error:
            if error.code not in SETTLED or error.index is None or error.index >= len(left):
                raise
            del left[error.index]
        else:
            return
