"""The screen of `eventd status --watch`."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from eventd_ipc.errors import ConnectionLost, NotRunning, TimedOut

from .status_view import HEALTH_COLOURS, status_lines


def watch_screen(look: Callable[[], dict[str, Any]], interval: float) -> None:
    """Draw the status again and again until Ctrl-C. A daemon that goes away is waited for.

    Args:
        look: Fetches the status.
        interval: Seconds between two looks.

    Raises:
        EventdClientError: The daemon cannot be reached at the beginning.
    """
    with Live(_drawn(look()), console=Console(), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            try:
                document = look()
            except (ConnectionLost, NotRunning, TimedOut) as error:
                document = {"health": {"state": "away", "reasons": [str(error.args[0])]}}
            live.update(_drawn(document), refresh=True)


def _drawn(document: dict[str, Any]) -> Text:
    first, *rest = status_lines(document)
    colour = HEALTH_COLOURS.get(document.get("health", {}).get("state"), "default")
    drawn = Text("\n", no_wrap=True, overflow="ellipsis")
    return drawn.join([Text(first, style=f"bold {colour}"), *map(Text, rest)])
