"""`python -m benchmarks.recall FILE…`: ask the questions of data sets; print recall and times, write JSON."""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from ..disk import percentile
from ..report import Sheet, machine, number, table
from ..stage import hide_person
from . import scale, sets
from .drivers import DRIVERS, Driver, Found
from .sets import Conversation, Question

RESULTS = Path(__file__).parents[3] / "bench-results"
LIMITS = (5, 10, 20)
SESSIONS = 5  # hits among which an evidence session is looked for
AROUND = 1  # neighbours on each side that count in "shown with neighbours"
MS = 1000.0


def main() -> int:
    """Measure what was asked for."""
    arguments = _parser().parse_args()
    hide_person()
    arguments.results.mkdir(parents=True, exist_ok=True)
    here = machine()
    print("  ".join(f"{key}: {value}" for key, value in here.items()), flush=True)
    for path in arguments.files:
        conversations = sets.read(path)
        sheet = Sheet(f"recall-{path.name.split('.')[0]}-{arguments.driver}")
        with DRIVERS[arguments.driver]() as driver:
            rows = list(_measure(sheet, driver, conversations, arguments.half))
        heading = ("questions", "", *(f"R@{k}" for k in LIMITS), "R@10 ±1", f"session in {SESSIONS}")
        print(f"\n{sheet.note}\n{table(heading, rows)}", flush=True)
        sheet.write(arguments.results, here)
        figures = [
            (name, number(one.median), one.unit) for name, one in sheet.figures.items() if one.unit != "%"
        ]
        print(f"\n{table(('time', 'median', ''), figures)}", flush=True)
    if arguments.scale:
        sheet = Sheet("recall-scale")
        scale.measure(sheet, arguments.scale)
        sheet.write(arguments.results, here)
        print(f"\n{table(('at scale', 'median', 'range', ''), list(sheet.rows()))}\n{sheet.note}")
    return 0


def _measure(
    sheet: Sheet, driver: Driver, conversations: Sequence[Conversation], half: int | None
) -> Iterator[tuple[str, ...]]:
    """Fill, ask, and return the rows of the table; all figures go into the sheet."""
    turns = sum(len(one.turns) for one in conversations)
    asked = sum(len(one.questions) for one in conversations)
    sheet.note = (
        f"{sheet.benchmark}: {len(conversations)} conversations, {turns:,} turns, {asked:,} questions"
    )
    start = time.perf_counter()
    for conversation in conversations:
        driver.load(conversation.agent, conversation.events())
    sheet.add("storing", (time.perf_counter() - start) * MS * 1000 / turns, "ms per 1000 turns")
    marks: defaultdict[str, list[tuple[float, ...]]] = defaultdict(list)
    times = []
    for conversation in conversations:
        for question in conversation.questions:
            if half is not None and _half(question) != half:
                continue
            start = time.perf_counter()
            plain = driver.recall(conversation.agent, question.text, max(LIMITS), 0)
            times.append(time.perf_counter() - start)
            wide = driver.recall(conversation.agent, question.text, 10, AROUND)
            found = _marks(question, plain, wide)
            marks[question.kind].append(found)
            marks["all"].append(found)
    sheet.add("recall p50", percentile(times, 50) * MS, "ms")
    sheet.add("recall p95", percentile(times, 95) * MS, "ms")
    names = [*(f"R@{k}" for k in LIMITS), "R@10 with neighbours", f"session among first {SESSIONS}"]
    for kind in sorted(marks, key=lambda kind: (kind == "all", kind)):
        means = [100 * sum(column) / len(column) for column in zip(*marks[kind], strict=True)]
        for name, mean in zip(names, means, strict=True):
            sheet.add(f"{kind}, {name}", mean, "%")
        yield kind, str(len(marks[kind])), *(f"{mean:.1f}" for mean in means)


def _marks(question: Question, plain: Sequence[Found], wide: Sequence[Found]) -> tuple[float, ...]:
    """Return the part of the evidence that is among the first k, that is shown, and whether a session is."""
    evidence = question.evidence
    parts = [len(evidence & {hit.id for hit in plain[:k]}) / len(evidence) for k in LIMITS]
    shown = {hit.id for hit in wide} | {one for hit in wide for one in hit.around}
    session = bool(question.sessions & {hit.session for hit in plain[:SESSIONS]})
    return *parts, len(evidence & shown) / len(evidence), float(session)


def _half(question: Question) -> int:
    """Return in which half of the questions one is: choose on half 0, report half 1."""
    return blake2b(question.text.encode(), digest_size=1).digest()[0] & 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.recall", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "files", nargs="*", type=Path, help="LongMemEval (.jsonl, .jsonl.gz) or LoCoMo (.json)"
    )
    parser.add_argument(
        "--driver", choices=DRIVERS, default="socket", help="ask a daemon or the index itself"
    )
    parser.add_argument("--half", type=int, choices=(0, 1), help="only this half of the questions")
    parser.add_argument(
        "--scale",
        type=int,
        nargs="?",
        const=scale.BIG,
        help=f"measure times with so many events ({scale.BIG:,})",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
