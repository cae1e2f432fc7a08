"""The oracle: what is in the streams against what was acknowledged.

The rule that every fault test ends with: acked ids minus reported losses = ids in the stream, each once,
in order per agent.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from .jetstream import Stored

SHOWN = 5  # ids that a failure shows of each kind


@dataclass(slots=True)
class Findings:
    """What is wrong with a stream; all empty when nothing is.

    Attributes:
        missing: Acked, and not there.
        repeated: There more than once.
        disordered: There before one that was accepted earlier.
        strange: There, and never acked (only where that was not allowed).
    """

    missing: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any((self.missing, self.repeated, self.disordered, self.strange))

    def __str__(self) -> str:
        kinds = asdict(self).items()
        return "; ".join(f"{len(ids)} {kind}: {', '.join(ids[:SHOWN])} …" for kind, ids in kinds if ids)


def examine(
    acked: Mapping[str, Sequence[str]], stored: Iterable[Stored], *, also_allowed: bool = False
) -> Findings:
    """Compare acked ids (by agent, in accept order) with what is stored.

    Args:
        also_allowed: Events without an ack may be there too, once each (an ack was lost for good).
    """
    found = Findings()
    by_agent: dict[str, list[str]] = {}
    for message in stored:
        by_agent.setdefault(message.agent, []).append(message.id)
    for agent in acked.keys() | by_agent.keys():
        _examine_agent(list(acked.get(agent, ())), by_agent.get(agent, []), found, also_allowed)
    return found


def check(
    acked: Mapping[str, Sequence[str]], stored: Iterable[Stored], *, also_allowed: bool = False
) -> None:
    """Fail unless the stream holds what was acked, each once and in order per agent."""
    found = examine(acked, stored, also_allowed=also_allowed)
    assert not found, str(found)


def _examine_agent(acked: list[str], stored: list[str], found: Findings, also_allowed: bool) -> None:
    there = Counter(stored)
    found.missing += [i for i in acked if not there[i]]
    found.repeated += [i for i, count in there.items() if count > 1]
    place = {i: n for n, i in enumerate(acked)}
    if not also_allowed:
        found.strange += [i for i in there if i not in place]
    newest = -1
    for i in dict.fromkeys(stored):  # the first copy of each counts
        if i in place:
            if place[i] < newest:
                found.disordered.append(i)
            newest = max(newest, place[i])


def check_spread(acked: Mapping[str, Sequence[str]], *streams: Sequence[Stored]) -> None:
    """Fail unless the streams hold what was acked: each in one of them, once, and each in order per agent."""
    together = Findings()
    stored = [message for stream in streams for message in stream]
    for agent in acked.keys() | {message.agent for message in stored}:
        ids = [message.id for message in stored if message.agent == agent]
        _examine_agent(list(acked.get(agent, ())), ids, together, also_allowed=False)
    together.disordered.clear()  # that is a matter of each stream
    for stream in streams:
        together.disordered += examine(acked, stream).disordered
    assert not together, str(together)
