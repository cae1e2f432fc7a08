"""Figures: collected run by run, printed as a table, written as JSON, held against the targets."""

import json
import os
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import apsw


@dataclass(slots=True)
class Figure:
    """One row of the table: the same thing measured once per round.

    Attributes:
        control: Whether it measures the machine or somebody else's way, not eventd.
        compared: Name of the control that each run is divided by, and the ratios.
    """

    name: str
    unit: str
    control: bool = False
    runs: list[float] = field(default_factory=list)
    compared: str = ""
    ratios: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle run."""
        return statistics.median(self.runs)

    @property
    def ratio(self) -> float | None:
        """The middle ratio to the control, or None where there is no control."""
        return statistics.median(self.ratios) if self.ratios else None


class Sheet:
    """The figures of one benchmark, in the order in which they first came."""

    def __init__(self, benchmark: str) -> None:
        self.benchmark = benchmark
        self.note = ""
        self.figures: dict[str, Figure] = {}

    def add(self, name: str, value: float, unit: str, *, control: bool = False) -> None:
        """Take in one run."""
        self.figures.setdefault(name, Figure(name, unit, control)).runs.append(value)

    def compare(self, name: str, control: str) -> None:
        """Divide each run of a figure by the run of the control in the same round."""
        figure = self.figures[name]
        figure.compared = control
        figure.ratios = [
            run / base for run, base in zip(figure.runs, self.figures[control].runs, strict=True)
        ]

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Return the table's rows: name, median, smallest and largest run, ratio."""
        for figure in self.figures.values():
            name = f"({figure.name})" if figure.control else figure.name
            spread = f"{number(min(figure.runs))} - {number(max(figure.runs))}"
            ratio = "" if figure.ratio is None else f"{figure.ratio:.2f} x {figure.compared}"
            yield name, f"{number(figure.median)} {figure.unit}", spread, ratio

    def write(self, folder: Path, machine: dict[str, Any]) -> Path:
        """Write all runs to `<folder>/<benchmark>.json` and return the file."""
        figures = [
            asdict(figure) | {"median": figure.median, "ratio": figure.ratio}
            for figure in self.figures.values()
        ]
        document = {"benchmark": self.benchmark, "note": self.note, "machine": machine, "figures": figures}
        path = folder / f"{self.benchmark}.json"
        path.write_text(json.dumps(document, indent=2) + "\n")
        return path


def number(value: float) -> str:
    """Return a figure with three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return columns under a heading; the first is left-aligned, and so is the last."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    last = len(widths) - 1

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.ljust(width) if i in {0, last} else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()

    return "\n".join([line(heading), "  ".join("-" * width for width in widths), *map(line, rows)])


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "nats_py": version("nats-py"),
        "eventd": version("openclaw-eventd"),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
