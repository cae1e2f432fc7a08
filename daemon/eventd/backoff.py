"""Pauses between attempts, spread so that what fails is not hammered and peers do not march in step."""

import random

FACTOR = 2.0  # growth of the bound from one attempt to the next


class Backoff:
    """Jittered exponential pauses: each is drawn evenly between half the first one and the current bound.

    Args:
        first: Seconds; bound of the first pause.
        longest: Seconds; the bound grows no further.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._bound = first

    def reset(self) -> None:
        """Begin again with the shortest pause: something worked."""
        self._bound = self._first

    def next(self) -> float:
        """Return the next pause in seconds."""
        pause = random.uniform(self._first / 2, self._bound)  # noqa: S311 - jitter, not cryptography
        self._bound = min(self._bound * FACTOR, self._longest)
        return pause
