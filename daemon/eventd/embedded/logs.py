"""The embedded server's log lines, passed on to ours."""

import logging
import re

logger = logging.getLogger(__name__)

LEVELS = {
    "TRC": logging.DEBUG,
    "DBG": logging.DEBUG,
    "INF": logging.DEBUG,  # what it says at every start is news to nobody
    "WRN": logging.WARNING,
    "ERR": logging.ERROR,
    "FTL": logging.ERROR,
}

_LINE = re.compile(r"\[\d+\] (?:[\d/]+ [\d:.]+ )?\[(?P<level>[A-Z]{3})\](?: (?P<text>.*))?")

_STORAGE = re.compile(
    r"resource limits exceeded for server|no space left on device|critical write error|out of resources",
    re.IGNORECASE,
)


class LogLines:
    """Passes each line on and remembers what went wrong.

    Attributes:
        last_problem: The last warning or error, for the message about a server that ended; "" if none.
    """

    def __init__(self) -> None:
        self.last_problem = ""

    def take(self, line: str) -> bool:
        """Log a line; return whether it says that the server has stopped storing until it is restarted."""
        match = _LINE.fullmatch(line.rstrip())
        # Output without its prefix is a crash of the Go runtime, or the guard's own complaint.
        level = LEVELS.get(match["level"], logging.ERROR) if match else logging.ERROR
        text = (match["text"] or "") if match else line.rstrip()
        if not text:
            return False
        logger.log(level, "nats-server: %s", text, extra={"action": "embedded_log"})
        if level < logging.WARNING:
            return False
        if match or not self.last_problem:  # of a crash the first line says most
            self.last_problem = text
        return _STORAGE.search(text) is not None
