"""`python -m benchmarks`: run them, print tables, write JSON. It fails only where one could not run."""

import argparse
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from . import (
    accept,
    backlog,
    backup,
    command,
    hook,
    idle,
    latency,
    migrate,
    neighbours,
    remembering,
    scrape,
    sessions,
    stalls,
    sustained,
    targets,
    transfer,
)
from .report import Sheet, machine, table
from .stage import Options, hide_person

BENCHMARKS: dict[str, Callable[[Sheet, Options], None]] = {
    "accept": accept.measure,
    "latency": latency.measure,
    "neighbours": neighbours.measure,
    "backlog": backlog.measure,
    "sustained": sustained.measure,
    "remembering": remembering.measure,
    "transfer": transfer.measure,
    "migrate": migrate.measure,
    "backup": backup.measure,
    "command": command.measure,
    "hook": hook.measure,
    "idle": idle.measure,
    "stalls": stalls.measure,
    "scrape": scrape.measure,
    "sessions": sessions.measure,
}
ROUNDS = 3
QUICK = 0.1  # part of the events that --quick uses, in one round
RESULTS = Path(__file__).parents[2] / "bench-results"


def main() -> int:
    """Run the chosen benchmarks; return 1 if one could not run."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that every process is ended on the way out
    hide_person()
    results: Path = arguments.results
    results.mkdir(parents=True, exist_ok=True)
    here = machine()
    print("  ".join(f"{key}: {value}" for key, value in here.items()))
    print("Controls are in parentheses. Medians; machines are shared, so trust the ratios.", flush=True)

    sheets: dict[str, Sheet] = {}
    folder = Path(tempfile.mkdtemp(prefix="data-", dir=arguments.data or results))
    rounds = arguments.rounds or (1 if arguments.quick else ROUNDS)
    options = Options(rounds, QUICK if arguments.quick else 1.0, folder)
    try:
        for name in arguments.only or BENCHMARKS:
            sheet = Sheet(name)
            try:
                BENCHMARKS[name](sheet, options)
            except Exception:  # the others can still run
                traceback.print_exc()
                continue
            sheets[name] = sheet
            sheet.write(results, here | {"rounds": rounds, "scale": options.scale})
            rows = list(sheet.rows())
            print(
                f"\n{table((name, 'median', 'range', 'beside the control'), rows)}\n{sheet.note}", flush=True
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{table(('target (DESIGN 9)', 'bound', 'measured', ''), list(targets.rows(sheets)))}")
    print(f"\nAll runs: {results}/*.json")
    return 0 if len(sheets) == len(arguments.only or BENCHMARKS) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this one; may be repeated")
    parser.add_argument("--quick", action="store_true", help="one round, a tenth of the events")
    parser.add_argument("--rounds", type=int, help=f"how often each is measured (default {ROUNDS})")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON files")
    parser.add_argument(
        "--data", type=Path, help="folder on the disk to measure (default: that of --results)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
