"""What an import asks before it sends: which of its events are there already."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import EventdError

if TYPE_CHECKING:
    from .bulk import Sender

INDEX_PAUSE = 0.2  # seconds between two looks whether the index is complete


class IndexIncomplete(EventdError):
    """What is stored already cannot be told, so that events could be stored twice."""


def ask_known(
    sender: "Sender", agent: str, ids: Sequence[str], wait: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Return which ids of an agent are `known`, and which are `forgotten`.

    Args:
        ids: At most `MAX_KNOWN`.
        wait: Seconds for which an index that is being built is waited for.
        say: Tells a person that it is.

    Raises:
        EventdClientError: The daemon was not there, or was away or full for too long.
        IndexIncomplete: Its index was not complete for that long.
    """
    end: float | None = None
    while True:
        answer = sender.ask(lambda client: client.known(agent, ids))
        if answer["complete"]:
            return answer
        now = time.monotonic()
        if end is None:
            say("the index is being built; waiting for it")
            end = now + wait
        if now >= end:
            raise IndexIncomplete(
                "the daemon's index is not complete, so it cannot be told what is stored already",
                hint="see `eventd index status`; try again when it is ready, or with a longer --wait",
            )
        time.sleep(INDEX_PAUSE)
