"""Migrates a folder into a list of events, as the daemon would store them."""

from pathlib import Path

import msgspec

from eventd.migration.run import Ask, Migration, Step, Taken, hashes
from eventd.migration.state import State, origin_of
from eventd.migration.walk import walk

NOW = 1_795_374_000_000  # Unix ms: 2026-11-22
MAX_EVENT = 8 * 2**20

_encode = msgspec.json.Encoder().encode


def nobody(ids: object) -> Taken:
    return Taken()


class Store:
    """Events that were sent, with what a daemon knows of them.

    Attributes:
        bodies: Their JSON by id, in the order in which they came.
    """

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}

    def state(self) -> State:
        state = State()
        for body in self.bodies.values():
            state.add(body)
        return state

    def migrate(
        self,
        folder: Path,
        *,
        agent: str = "main",
        redact: bool = False,
        ask: Ask = nobody,
        most: int | None = None,
        now: int = NOW,
    ) -> list[Step]:
        """Migrate a folder.

        Args:
            most: Stop after this many events, as if it was killed.
        """
        state, files = self.state(), walk(folder)
        stored = state.workspace_of(folder, hashes(files))
        origin = origin_of(agent, stored, folder)
        migration = Migration(files, origin, stored, now, max_event=MAX_EVENT, redact=redact)
        steps = []
        for step in migration.steps(ask):
            steps.append(step)
            for outgoing in step.outgoing:
                if most is not None and outgoing.number > most:
                    return steps
                event = outgoing.event
                assert event.id is not None
                body = _encode(event)
                assert self.bodies.setdefault(event.id, body) == body, "an id stands for one content"
                assert len(body) < MAX_EVENT
        return steps


def sent(steps: list[Step]) -> list[str]:
    """Return the types of the events that steps send."""
    return [outgoing.event.type for step in steps for outgoing in step.outgoing]
