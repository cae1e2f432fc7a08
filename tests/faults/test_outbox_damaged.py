"""G5: whatever happened to its files, the daemon starts, and it says exactly how much it lost.

The oracle: acked ids minus reported losses = ids in the stream, each once, in order per agent.
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from support.daemon import DaemonFactory
from support.jetstream import JetStream
from support.load import Load, emit
from support.nats import NatsServer
from support.oracle import examine
from support.rounds import DAMAGED_OUTBOXES

pytestmark = pytest.mark.faults

PAGE = 4096  # bytes of a SQLite page

Damage = Callable[[Path, random.Random], None]


def truncate(file: Path, dice: random.Random) -> None:
    """Cut the file off somewhere."""
    with file.open("r+b") as damaged:
        damaged.truncate(dice.randrange(file.stat().st_size))


def flip_bits(file: Path, dice: random.Random) -> None:
    """Turn over a few bits, anywhere."""
    with file.open("r+b") as damaged:
        for _ in range(dice.randint(1, 8)):
            place = dice.randrange(file.stat().st_size)
            damaged.seek(place)
            byte = damaged.read(1)[0]
            damaged.seek(place)
            damaged.write(bytes([byte ^ (1 << dice.randrange(8))]))


def blank_page(file: Path, dice: random.Random) -> None:
    """Overwrite a page with zeros, as a lost block does."""
    with file.open("r+b") as damaged:
        damaged.seek(dice.randrange(file.stat().st_size) // PAGE * PAGE)
        damaged.write(bytes(PAGE))


def remove(file: Path, dice: random.Random) -> None:
    """Delete the file."""
    file.unlink()


@pytest.mark.parametrize("seed", range(DAMAGED_OUTBOXES))
@pytest.mark.parametrize("damage", [truncate, flip_bits, blank_page, remove])
@pytest.mark.parametrize("suffix", ["", "-wal", "-mark"], ids=["database", "log", "mark"])
def test_a_damaged_outbox_starts_and_counts_its_losses(
    nats_server: NatsServer,
    daemon_factory: DaemonFactory,
    jetstream: JetStream,
    suffix: str,
    damage: Damage,
    seed: int,
) -> None:
    """Some rows are shipped and retained, others wait; damage may hit either."""
    dice = random.Random(f"{suffix} {damage.__name__} {seed}")
    daemon = daemon_factory(nats_server.url, shutdownTimeout="100ms")
    with Load(daemon.socket, limit=dice.randint(50, 400)) as load:
        load.finish()
        daemon.wait_shipped()
        if dice.random() < 0.5:
            daemon.restart(kill=dice.random() < 0.5)
        nats_server.kill()
    with Load(daemon.socket, ["ann", "bob"], limit=dice.randint(50, 400)) as waiting:
        acked = {**load.acked, **waiting.finish()}
    if dice.random() < 0.5:
        daemon.stop()  # everything in the database, nothing in its log
    else:
        daemon.kill()
    file = daemon.outbox.with_name(daemon.outbox.name + suffix)
    if file.exists() and file.stat().st_size:
        damage(file, dice)
    nats_server.start()
    status = daemon.start().wait_shipped()
    acked["new"] = emit(daemon.socket, "new", range(1, 11))
    daemon.wait_shipped()
    found = examine(acked, jetstream.read())
    lost = status["outbox"]["lost_events"]
    assert (len(found.missing), found.repeated, found.disordered, found.strange) == (lost, [], [], []), (
        f"{lost} reported lost; {found}"
    )
    if lost:
        assert str(lost) in str(status["health"]["reasons"])
