"""Whether what is stored can be read again: the context of an agent, and events with a wrong time."""

from collections.abc import Iterator

from eventd_ipc.blocking import Client
from eventd_ipc.errors import EventdClientError, Refused

from ..errors import EventdError
from .clock import AHEAD, future_finding, now_ms
from .model import Finding, Findings, Level, unmade
from .visit import Connect, Visit, hint_of, text_of

LOOKED_AT = 5  # events from the future are enough to name one


def examine_reading(visited: Visit, connect: Connect, agent: str | None) -> Findings:
    """Ask for what an agent is told when a session begins, and for events from the future. Blocks.

    Args:
        agent: Whose context it is; None is whoever the CLI is.
    """
    if visited.welcome is None:
        return []
    try:
        with connect(agent) as client:
            return [*_context(client), *_future(client)]
    except (EventdClientError, EventdError) as error:
        return [unmade("events.context", "context", text_of(error), hint_of(error))]


def _context(client: Client) -> Iterator[Finding]:
    check, title, agent = "events.context", "context", client.welcome.agent
    try:
        block = client.context()
    except Refused as error:
        yield Finding(
            check, Level.WARNING, title, f"it cannot be made for {agent}: {error.message}", error.hint
        )
        return
    text = str(block.get("text") or "")
    if not block.get("complete", True):
        found = f"{len(text):,} characters for {agent}; the index is not complete yet, there may be more"
        yield Finding(check, Level.NOTE, title, found)
    elif not text:
        found = f"nothing to remember for {agent}: it has no event yet"
        yield Finding(
            check, Level.NOTE, title, found, "`eventd doctor --agent NAME` looks at another agent's"
        )
    else:
        yield Finding(check, Level.OK, title, f"{len(text):,} characters for {agent}")


def _future(client: Client) -> Iterator[Finding]:
    now = now_ms()
    agent = "*" if client.welcome.admin else client.welcome.agent
    try:
        with client.query(since=now + int(AHEAD * 1000), limit=LOOKED_AT, agent=agent) as events:
            yield future_finding(list(events), now)
    except Refused as error:
        yield unmade("events.clock", "time of events", error.message, error.hint)
