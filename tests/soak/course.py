"""A run: the daemon, everybody who uses it, what happens to it meanwhile, and what came of all that."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.daemon import Daemon
from support.jetstream import STREAM, JetStream
from support.load import Load, Shape
from support.nats import NatsServer
from support.oracle import examine
from support.waiting import wait_until

from .clients import Follower, Reader, Speaker, Vagabond, Worker
from .happenings import FOREIGN, GRAVE, Happenings
from .samples import Sample, Sampler, look

OWN = "own"  # an agent with a stream of its own
EMITTERS = ("ann", "bob", OWN)
SPEAKERS = ("tim", "ulf")
PACE = Shape(events=5, window=2, pause=0.25)  # about 40 events a second

PART = 0.25  # of the run for which events stay in the index, so that it is full in the second half
SHORTEST_STAY = 2.0  # seconds
RETAIN = 30.0  # seconds for which shipped events stay in the outbox; not more than a quarter of the run
PAUSE_PART = 30.0  # a pause between two happenings is that part of the run
LONGEST_PAUSE = 30.0  # seconds
LOOKS_PART = 60.0  # a pause between two looks is that part of the run
LONGEST_LOOK = 5.0  # seconds
REST_TIMEOUT = 60.0  # seconds until the daemon must have noticed that everybody has left
LEFT_BEHIND = {"fds": 12, "threads": 12}
"""How many more there may be at rest after the run than before it: readers of the index and threads for files
come when they are first needed, and stay."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        acked: How many events were acknowledged.
        happened: How much has happened to the daemon.
        turns: Of the clients, by their name.
        refused: Refusals that may come, by code.
        before, after: The daemon at rest.
        problems: What must not be; a sentence each.
    """

    acked: int
    happened: int
    turns: Mapping[str, int]
    refused: Mapping[str, int]
    before: Mapping[str, float]
    after: Mapping[str, float]
    samples: Sequence[Sample]
    problems: Sequence[str]


def run(seconds: float, folder: Path, *, edits: bool = False, mutation: str = "", seed: int = 1) -> Outcome:
    """Run for about so long, and return what came of it.

    Args:
        folder: Of the data; on the disk that is used.
        edits: Whether config.yml is edited meanwhile, for a daemon that reads it again by itself.
        mutation: Python that runs in the daemon's process before it starts.
    """
    with ExitStack() as stack:
        server = stack.enter_context(NatsServer(folder / "nats"))
        daemon = stack.enter_context(_daemon(folder, server, seconds, mutation))
        daemon.wait_healed()
        before = look(daemon)
        happenings = Happenings(daemon, server, edits=edits)
        workers: list[Worker] = [
            *(Speaker(daemon.socket, name, seed + number) for number, name in enumerate(SPEAKERS)),
            Reader(daemon.socket, "reader", seed),
            Follower(daemon.socket, "follower", seed),
            Vagabond(daemon.socket, "vagabond", seed),
        ]
        with Load(daemon.socket, EMITTERS, PACE) as load, ExitStack() as clients:
            for worker in workers:
                clients.enter_context(worker)
            with Sampler(daemon, min(LONGEST_LOOK, seconds / LOOKS_PART)) as sampler:
                _let_happen(happenings, seconds)
            for worker in workers:
                worker.stop()
            clients.close()
            emitted = load.finish()
        daemon.wait_healed()
        acked = {**emitted, GRAVE: happenings.acked}
        acked |= {worker.name: worker.acked for worker in workers if isinstance(worker, Speaker)}
        problems = [f"{w.name} ended: {w.problem!r}" for w in workers if w.problem is not None]
        problems += _lost(acked, JetStream(server.url))
        after = _at_rest(daemon)
        problems += _left_behind(before, after)
        assert daemon.stop() == 0, daemon.complaint()
        if "Traceback" in daemon.log_text:
            problems.append("there is a traceback in the log")
        return Outcome(
            acked=sum(map(len, acked.values())),
            happened=happenings.count,
            turns={worker.name: worker.turns for worker in workers},
            refused=sum((worker.refused for worker in workers), load.refused),
            before=before,
            after=after,
            samples=sampler.samples,
            problems=problems,
        )


@contextmanager
def _daemon(folder: Path, server: NatsServer, seconds: float, mutation: str) -> Iterator[Daemon]:
    """Run a daemon that forgets quickly, so that the length of a run shows all of its ages."""
    short = Path(tempfile.mkdtemp(prefix="evk", dir="/tmp"))  # socket paths are short
    settings: dict[str, Any] = {
        "url": server.url,
        "agents": {OWN: {"streamName": OWN, "subjectPrefix": f"apart.{OWN}"}},
        "outbox": {"retain": f"{round(min(RETAIN, seconds * PART))}s", "ledgerIds": 1000},
        "index": {"maxAge": f"{round(max(SHORTEST_STAY, seconds * PART))}s"},
    }
    daemon = Daemon(short, settings, mutation=mutation)
    daemon.data = folder / "eventd"
    try:
        with daemon:
            yield daemon
    except Exception as error:
        error.add_note(daemon.complaint())
        raise
    finally:
        shutil.rmtree(short, ignore_errors=True)


def _let_happen(happenings: Happenings, seconds: float) -> None:
    """Let one thing after the other happen, with pauses, until the time is up."""
    ending = time.monotonic() + seconds
    pause = min(LONGEST_PAUSE, seconds / PAUSE_PART)
    for happening in happenings:
        happening()
        if time.monotonic() + pause > ending:
            break
        time.sleep(pause)
    time.sleep(max(0.0, ending - time.monotonic()))


def _lost(acked: Mapping[str, list[str]], jetstream: JetStream) -> list[str]:
    """Compare what was acknowledged with what is in the two streams."""
    problems = []
    for stream, names in ((STREAM, acked.keys() - {OWN}), (OWN, {OWN})):
        stored = [message for message in jetstream.read(stream) if message.agent != FOREIGN]
        if found := examine({name: acked[name] for name in names}, stored):
            problems.append(f"stream {stream}: {found}")
    return problems


def _at_rest(daemon: Daemon) -> dict[str, float]:
    """Return how the daemon is when nobody but us is connected any more."""

    def rests() -> dict[str, float] | None:
        found = look(daemon)
        return found if found.get("connections") == 1 and not found.get("streams") else None

    try:
        at_rest: dict[str, float] = wait_until(rests, REST_TIMEOUT, interval=0.5)
    except AssertionError:
        return look(daemon)
    return at_rest


def _left_behind(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Say what is still there though everybody has left."""
    problems = [
        f"{after[name] - before[name]:g} more {name} at rest than before"
        for name, more in LEFT_BEHIND.items()
        if after.get(name, 0) - before.get(name, 0) > more
    ]
    if (connections := after.get("connections", 0)) > 1:  # ours, by which it was asked
        problems.append(f"{connections - 1:g} connections of clients that have left")
    if after.get("streams"):
        problems.append(f"{after['streams']:g} streams of clients that have left")
    return problems
