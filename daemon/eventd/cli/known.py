"""What an import asks before it sends: which of its events are there already."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import EventdError

if TYPE_CHECKING:
    from .bulk import Sender

INDEX_PAUSE = 0.2  # seconds between two looks whether the index is complete
REBUILDING = "rebuilding"


class IndexIncomplete(EventdError):
    """What is stored already cannot be told, so that events could be stored twice."""


def ask_known(
    sender: "Sender[Any]",
    agent: str,
    ids: Sequence[str],
    wait: float,
    say: Callable[[str], None],
    settle: float | None = None,
) -> dict[str, Any]:
    """Return which ids of an agent are `known`, which are `forgotten`, and whether that is `complete`.

    Args:
        ids: At most `MAX_KNOWN`.
        wait: Seconds for which an index that is being built is waited for.
        say: Tells a person that it is.
        settle: Seconds after which an answer is taken that only lacks what the streams have of others;
            without it, none is.

    Raises:
        EventdClientError: The daemon was not there, or was away or full for too long.
        IndexIncomplete: Its index was not complete for that long.
    """
    began = time.monotonic()
    told = False
    while True:
        answer = sender.ask(lambda client: client.known(agent, ids))
        if answer["complete"]:
            return answer
        waited = time.monotonic() - began
        if settle is not None and waited >= settle:
            if sender.ask(lambda client: client.index()).get("state") != REBUILDING:
                return answer
            settle = None
        if not told and settle is None:
            told = True
            say("the index is being built; waiting for it")
        if waited >= wait:
            raise IndexIncomplete(
                "the daemon's index is not complete, so it cannot be told what is stored already",
                hint="see `eventd index status`; try again when it is ready, or with a longer --wait",
            )
        time.sleep(INDEX_PAUSE)
