"""The audit trail: what clients wanted and were not allowed."""

import logging
from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

LOUD = 20  # denials of one connection that are logged one by one; behind them each tenfold of them is


class Audit:
    """Logs the denials of one connection; one that tries on and on cannot fill the log.

    Args:
        facts: Who it is, for the log.
    """

    def __init__(self, facts: Callable[[], Mapping[str, object]]) -> None:
        self.denials = 0
        self._facts = facts

    def denied(self, what: str, why: str) -> None:
        """Note that something was not allowed.

        Args:
            what: The request: `hello`, `emit`, `query` ….
            why: What it was about, for a person.
        """
        self.denials += 1
        if self.denials <= LOUD or _is_power_of_ten(self.denials):
            extra = {"action": "access_denied", "request": what, "denials": self.denials, **self._facts()}
            logger.warning("%s denied: %s", what, why, extra=extra)


def _is_power_of_ten(number: int) -> bool:
    return str(number).strip("0") == "1"
