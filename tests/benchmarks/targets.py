"""The targets of the design, and whether the figures meet them. Two cores, nats-server sharing them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from support.daemon import STALL_HEALED, STALL_SHOWN

from . import (
    accept,
    backlog,
    command,
    hook,
    idle,
    latency,
    neighbours,
    remembering,
    stalls,
    sustained,
    transfer,
)
from .report import Sheet, number


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for one figure.

    Attributes:
        of: Whether the bound is for the figure's median, its ratio to the control, or its largest run.
    """

    what: str
    benchmark: str
    figure: str
    sense: Literal[">=", "<="]
    bound: float
    unit: str = ""
    of: Literal["median", "ratio", "worst"] = "median"

    def measured(self, sheets: Mapping[str, Sheet]) -> float | None:
        """Return the value that is held against the bound, or None where it was not measured."""
        sheet = sheets.get(self.benchmark)
        figure = sheet.figures.get(self.figure) if sheet else None
        if figure is None:
            return None
        match self.of:
            case "median":
                return figure.median
            case "ratio":
                return figure.ratio
            case "worst":
                return max(figure.runs)

    def verdict(self, value: float | None) -> str:
        """Return `met`, `NOT MET` or `not measured`."""
        if value is None:
            return "not measured"
        met = value >= self.bound if self.sense == ">=" else value <= self.bound
        return "met" if met else "NOT MET"


STEADY_P50, STEADY_P99 = (neighbours.figure(neighbours.STEADY, percent) for percent in (50, 99))
LIMITED_P50, LIMITED_P99 = (neighbours.figure(neighbours.LIMITED, percent) for percent in (50, 99))

TARGETS = (
    Target("accepted over the socket, fsynced", "accept", accept.SINGLES, ">=", 80_000, "events/s"),
    Target("the same in batches of 20", "accept", accept.BATCHES, ">=", 150_000, "events/s"),
    Target("ack latency, p50", "latency", latency.P50, "<=", 1.0, "ms"),
    Target("ack latency, p99", "latency", latency.P99, "<=", 3.0, "ms"),
    Target("ack p50 beside a busy agent", "neighbours", STEADY_P50, "<=", 2, "x", of="ratio"),
    Target("the same, p99", "neighbours", STEADY_P99, "<=", 2, "x", of="ratio"),
    Target("ack p50 beside a limited one", "neighbours", LIMITED_P50, "<=", 2, "x", of="ratio"),
    Target("the same, p99", "neighbours", LIMITED_P99, "<=", 2, "x", of="ratio"),
    Target("shipping a backlog, server always syncs", "backlog", backlog.ALWAYS, ">=", 35_000, "events/s"),
    Target("the same beside awaiting each publish", "backlog", backlog.ALWAYS, ">=", 8, "x", of="ratio"),
    Target("socket to JetStream, both durable", "sustained", sustained.SINGLES, ">=", 20_000, "events/s"),
    Target("the same at a steady rate", "sustained", sustained.STEADY, ">=", 20_000, "events/s"),
    Target("context block, 1 M events, p50", "remembering", remembering.CONTEXT_P50, "<=", 10, "ms"),
    Target("the same, p99", "remembering", remembering.CONTEXT_P99, "<=", 30, "ms"),
    Target("eventd context as a whole process", "remembering", remembering.CONTEXT_COMMAND, "<=", 120, "ms"),
    Target("last 1000 beside getting each", "remembering", remembering.QUERY, "<=", 0.02, "x", of="ratio"),
    Target("eventd export", "transfer", transfer.EXPORT, ">=", 20_000, "events/s"),
    Target("eventd import", "transfer", transfer.IMPORT, ">=", 20_000, "events/s"),
    Target("eventd emit as a whole process", "command", command.EMIT, "<=", 100, "ms"),
    Target("eventd hook as a whole process", "hook", hook.HOOK, "<=", 60, "ms"),
    Target("idle daemon, share of a core", "idle", idle.CPU, "<=", 1.0, "%"),
    Target("idle daemon, RSS without the broker", "idle", idle.RSS, "<=", 80, "MB"),
    Target("any stall shows (G6), worst", "stalls", stalls.WORST_SHOWN, "<=", STALL_SHOWN, "s", of="worst"),
    Target("and heals (G6), worst", "stalls", stalls.WORST_HEALED, "<=", STALL_HEALED, "s", of="worst"),
)


def rows(sheets: Mapping[str, Sheet]) -> Iterator[tuple[str, ...]]:
    """Return the table's rows: what, bound, measured, verdict."""
    for target in TARGETS:
        value = target.measured(sheets)
        bound = f"{target.sense} {target.bound:,g} {target.unit}"
        yield target.what, bound, "" if value is None else number(value), target.verdict(value)
