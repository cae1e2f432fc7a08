"""What `emit` adds to the events that it is given."""

from dataclasses import dataclass

from eventd_ipc.builders import new_id
from eventd_ipc.events import Event, Visibility


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the flags say about events that do not say it themselves."""

    agent: str | None = None
    session: str | None = None
    visibility: Visibility | None = None

    def complete(self, event: Event) -> Event:
        """Fill in what an event leaves out."""
        # A session names its agent, so one of our own only fits an event that names neither.
        if event.agent is None and event.session is None:
            event.agent = self.agent
        event.session = event.session or self.session
        event.visibility = event.visibility or self.visibility
        return event


def identified(event: Event) -> Event:
    """Give an event its id, so that sending it again is a repeat.

    The timestamp is left to the daemon: it knows a repeat by it where the sender gave one, so the lines of a
    file that have ids but no timestamps would become conflicts when the file is sent again.
    """
    event.id = event.id or new_id()
    return event
