"""Ack latency of a quiet agent, alone and beside a busy one whose route is dead."""

from contextlib import ExitStack
from dataclasses import dataclass

from .disk import percentile
from .load import AGENT, QUIET, Load, Plan
from .report import Sheet
from .stage import NOWHERE, Options, shipping, workspace

NOTE = (
    "the quiet agent emits one event, waits for its ack, pauses 10 ms, and so on; its events are shipped,\n"
    "on the same disk; those of the busy agent wait, because its server is away"
)

INTERVAL = 0.01  # seconds that the quiet agent pauses
AHEAD = 1.0  # seconds for which the busy agent may have begun before the quiet one is measured
MOST = 200_000  # events/s; more than the daemon takes
PERCENTILES = (50, 99)
MS = 1000.0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What the busy agent does.

    Attributes:
        batch: Events in one emit.
        rate: Events a second; 0 is as fast as the daemon reads.
        span: Seconds for which the quiet agent is measured. At full blast, more than a few would be more than
            a dead route's share of the outbox.
        limit: Its `maxEventsPerSecond`; it sends on whatever is refused.
    """

    name: str
    batch: int
    rate: int
    span: float
    limit: int | None = None

    def plan(self, socket: str, span: float) -> Plan:
        """Return what it sends; it is still under way when the quiet agent has been measured for `span`."""
        lasting = span + 2 * AHEAD
        if self.rate:
            return Plan(socket, round(self.rate * lasting), self.batch, seconds=lasting)
        return Plan(socket, round(MOST * lasting), self.batch)


STEADY = Neighbour("5000 events/s in emits of 20", 20, 5000, 10.0)
LIMITED = Neighbour("full blast of one limited to 5000 events/s", 20, 0, 3.0, limit=5000)
NEIGHBOURS = (
    STEADY,
    LIMITED,
    Neighbour("full blast in emits of 20", 20, 0, 3.0),
    Neighbour("full blast of single events", 1, 0, 3.0),
)


def figure(neighbour: Neighbour | None, percent: int) -> str:
    """Return the name of a figure; None is the quiet agent alone."""
    return f"{f'beside {neighbour.name}' if neighbour else 'alone'}, p{percent}"


def measure(sheet: Sheet, options: Options) -> None:
    """Measure alone and beside each neighbour, one after the other in each round."""
    sheet.note = NOTE
    for _ in range(options.rounds):
        for neighbour in (None, *NEIGHBOURS):
            latencies = _latencies(options, neighbour)
            for percent in PERCENTILES:
                value = percentile(latencies, percent) * MS
                sheet.add(figure(neighbour, percent), value, "ms", control=neighbour is None)
    for neighbour in NEIGHBOURS:
        for percent in PERCENTILES:
            sheet.compare(figure(neighbour, percent), figure(None, percent))


def _latencies(options: Options, neighbour: Neighbour | None) -> list[float]:
    """Return the quiet agent's seconds to each ack."""
    span = max(1.0, (neighbour or STEADY).span * options.scale)
    entry: dict[str, object] = {"url": NOWHERE, "streamName": "busy"}
    if neighbour is not None and neighbour.limit is not None:
        entry["maxEventsPerSecond"] = neighbour.limit
    with ExitStack() as stack:
        folder = stack.enter_context(workspace(options, "neighbours"))
        daemon, _ = stack.enter_context(shipping(folder, agents={AGENT: entry}))
        quiet = Plan(str(daemon.socket), round(span / INTERVAL), one_by_one=True, seconds=span, agent=QUIET)
        quiet_load = stack.enter_context(Load(quiet))
        busy = None
        if neighbour is not None:
            busy = stack.enter_context(Load(neighbour.plan(str(daemon.socket), span)))
            busy.begin()
            daemon.wait_for(lambda status: status["outbox"]["accepted"], what="the neighbour is under way")
        latencies = quiet_load.go().latencies
        if busy is not None and not busy.running:
            raise RuntimeError("the neighbour was done before the quiet agent")
        return latencies
