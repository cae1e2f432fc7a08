"""The screen of `eventd status --watch`."""

import time
from collections.abc import Callable
from typing import Any, NoReturn

from rich.console import Console
from rich.live import Live
from rich.text import Text

from eventd_ipc.errors import ConnectionLost, NotRunning, TimedOut

from .status_view import HEALTH_COLOURS, health_of, status_lines


def watch_screen(look: Callable[[], dict[str, Any]], interval: float) -> NoReturn:
    """Draw the status again and again until Ctrl-C. A daemon that goes away is waited for.

    Args:
        look: Fetches the status.
        interval: Seconds between two looks.

    Raises:
        EventdClientError: The daemon cannot be reached at the beginning.
    """
    head = f"every {interval:g} s, Ctrl-C ends"
    with Live(_drawn(look(), head), console=Console(), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            try:
                document = look()
            except (ConnectionLost, NotRunning, TimedOut) as error:
                document = {"health": {"state": "away", "reasons": [str(error.args[0])]}}
            live.update(_drawn(document, head), refresh=True)


def _drawn(document: dict[str, Any], head: str) -> Text:
    """Draw the lines; the time above them shows that they are not those of an hour ago."""
    first, *rest = status_lines(document, brief=True)
    colour = HEALTH_COLOURS.get(health_of(document), "default")
    drawn = Text("\n", no_wrap=True, overflow="ellipsis")
    lines = [Text(line, style="yellow" if line.lstrip().startswith("!") else "") for line in rest]
    now = Text(f"{time.strftime('%H:%M:%S')}, {head}", style="dim")
    return drawn.join([now, Text(first, style=f"bold {colour}"), *lines])
