"""The largest message that each route's server takes, kept over restarts.

Without it, events taken while NATS is away after a restart could be larger than the server will ever take,
and would end as dead letters instead of being refused to the agent that can still do something about it.
"""

import json
import logging
from pathlib import Path

logger = logging.getLogger(__name__)


class Limits:
    """Bytes by the route's number in the outbox; a small file that is replaced as a whole.

    Losing it costs nothing but the knowledge, so nothing here raises.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _read(path)

    def items(self) -> list[tuple[int, int]]:
        """Return route number and largest message of every route that was ever connected."""
        return list(self._seen.items())

    def note(self, route: int, size: int) -> None:
        """Remember what a server said at connecting."""
        if self._seen.get(route) == size:
            return
        self._seen[route] = size
        new = self._path.with_suffix(".new")
        try:
            new.touch(mode=0o600)
            new.write_text(json.dumps(self._seen))
            new.replace(self._path)
        except OSError as error:
            logger.warning("cannot keep %s: %s", self._path, error, extra={"action": "limits_not_kept"})


def _read(path: Path) -> dict[int, int]:
    try:
        document = json.loads(path.read_text())
        return {int(route): int(size) for route, size in document.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        logger.warning("cannot read %s: %s", path, error, extra={"action": "limits_not_read"})
        return {}
