"""`eventd import sessions`: a past of many sessions, into an empty store and once more into the full one."""

import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from eventd.cli.session_arrival import Tidying
from eventd.sources import model
from eventd.sources.finding import find
from eventd.sources.transcripts import read
from sources.support import ClaudeCode, Codex, OpenClaw

from .report import Sheet
from .stage import Options, shipping, workspace

NOTE = "a broker that syncs always; texts as agents write them; the whole command, with its process"

FIRST = "first import"
AGAIN = "second import, nothing new"
BYTES = "first import: transcripts read"
CPU = "first import: processor time of the command"
READING = "reading and tidying alone, in process"

EVENTS = 30_000  # of all sessions together
TURNS = 50  # of one session; each has five events
TIMEOUT = 600.0  # seconds

_ANSWER = "The test fails because the fixture opens the database before the schema is there. " * 4
_OUTPUT = "tests/shop/test_cart.py::test_total PASSED  [ 12%]\n" * 25


def measure(sheet: Sheet, options: Options) -> None:
    """Import sessions of all three tools."""
    sheet.note = NOTE
    for _ in range(options.rounds):
        with workspace(options, "sessions") as folder, shipping(folder) as (daemon, _):
            home = folder / "home"
            size = _write(home, options.amount(EVENTS))
            before = _processor_time()
            seconds, added = _import(daemon.socket, home, "added")
            sheet.add(CPU, 1e6 * (_processor_time() - before) / added, "µs/event")
            sheet.add(FIRST, added / seconds, "events/s")
            sheet.add(BYTES, size / seconds / 1e6, "MB/s")
            seconds, known = _import(daemon.socket, home, "known")
            sheet.add(AGAIN, known / seconds, "events/s")
            sheet.add(READING, added / _read(home), "events/s", control=True)
    for name in (FIRST, AGAIN):
        sheet.compare(name, READING)


def _write(home: Path, events: int) -> int:
    """Write sessions of each tool with so many events together; return their bytes."""
    for n in range(max(1, events // (3 * 5 * TURNS))):
        claude, codex = ClaudeCode(f"claude-{n}"), Codex(f"{n:08}-c2ee-7642-98e4-c94d7a479e0c")
        openclaw = OpenClaw(f"openclaw-{n}")
        for turn in range(TURNS):
            question = f"Why does test {turn} of part {n} fail, and what does {n * turn} have to do with it?"
            call, args = f"call-{n}-{turn}", {"command": f"make test PART={turn}", "timeout": 120_000}
            output = f"run {n} {turn}\n{_OUTPUT}"
            claude.ask(question).say(f"{turn}: let me look. {_ANSWER}").use(call, "Bash", args, output)
            claude.say(f"{turn}: found. {_ANSWER}")
            codex.ask(question).say(f"{turn}: let me look. {_ANSWER}").use(call, "exec_command", args, output)
            codex.say(f"{turn}: found. {_ANSWER}")
            openclaw.ask(question).say(f"{turn}: let me look. {_ANSWER}").use(call, "exec", args, output)
            openclaw.say(f"{turn}: found. {_ANSWER}")
        claude.write(home)
        codex.write(home)
        openclaw.write(home, key=f"agent:main:s{n}")
    return sum(path.stat().st_size for path in home.rglob("*.jsonl"))


def _import(socket: Path, home: Path, figure: str) -> tuple[float, int]:
    """Run the command; return its seconds, and a figure of all sources together."""
    command = [sys.executable, "-m", "eventd", "--socket", str(socket), "import", "sessions", "--json"]
    began = time.perf_counter()
    done = subprocess.run(
        command, env=os.environ | {"HOME": str(home)}, stdout=subprocess.PIPE, timeout=TIMEOUT, check=True
    )
    seconds = time.perf_counter() - began
    return seconds, sum(json.loads(line)[figure] for line in done.stdout.splitlines())


def _processor_time() -> float:
    """Return the seconds of processor time that commands have taken so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _read(home: Path) -> float:
    """Return how many seconds it takes to make the events."""
    began = time.perf_counter()
    for tool in model.TOOLS:
        seen = model.Seen()
        for transcript in find(tool, {"HOME": str(home)}).transcripts:
            for _ in read(transcript, model.Options(Tidying()), seen, Counter()):
                pass
    return time.perf_counter() - began
