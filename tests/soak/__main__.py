"""`python -m soak`: run, print the slopes, say what is wrong. It fails where anything is."""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.report import machine, table
from benchmarks.stage import hide_person

from .course import Outcome, run
from .gauges import HEADING, Verdict, verdicts

MINUTES = 20.0
RESULTS = Path(__file__).parents[2] / "bench-results"


def main() -> int:
    """Run as long as is asked; return 1 if something was lost, has grown, or went wrong."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that every process is ended on the way out
    hide_person()
    results: Path = arguments.results
    results.mkdir(parents=True, exist_ok=True)
    print("  ".join(f"{key}: {value}" for key, value in machine().items()))
    print(f"{arguments.minutes:g} minutes, seed {arguments.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=arguments.data or results))
    try:
        outcome = run(arguments.minutes * 60, folder, edits=arguments.edits, seed=arguments.seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    path = results / "soak.jsonl"
    path.write_text("".join(f"{json.dumps(asdict(sample))}\n" for sample in outcome.samples))
    found = verdicts(outcome.samples)
    print(report(outcome, found))
    print(f"All samples: {path}")
    return 1 if outcome.problems or any(verdict.problem for verdict in found) else 0


def report(outcome: Outcome, found: list[Verdict]) -> str:
    """Return what a person wants to know."""
    turns = ", ".join(f"{name} {count:,}" for name, count in outcome.turns.items())
    refused = ", ".join(f"{code} {count:,}" for code, count in outcome.refused.items()) or "none"
    rest = ", ".join(
        f"{name} {outcome.before[name]:g} -> {outcome.after[name]:g}"
        for name in ("fds", "threads", "connections")
        if name in outcome.before and name in outcome.after
    )
    problems = "\n".join(f"WRONG: {problem}" for problem in outcome.problems)
    return "\n".join(
        [
            "",
            table(HEADING, [verdict.row() for verdict in found]),
            f"Slopes are those of the second half ({len(outcome.samples)} samples in all).",
            "",
            f"acknowledged: {outcome.acked:,}   happened: {outcome.happened}",
            f"turns of clients: {turns}",
            f"refused and tried again: {refused}",
            f"at rest, before and after: {rest}",
            problems or "each acknowledged event is stored once and in order",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__, allow_abbrev=False)
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"how long (default {MINUTES:g})")
    parser.add_argument("--seed", type=int, default=1, help="of what the clients choose")
    parser.add_argument("--edits", action="store_true", help="edit config.yml, too: an agent comes and goes")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the samples")
    parser.add_argument("--data", type=Path, help="folder on the disk to use (default: that of --results)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
