"""Room on the disk, against what the outbox needs."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from doctor.patient import config_of, of
from eventd.config.settings import Config, OutboxSettings
from eventd.doctor.model import Level
from eventd.doctor.room import examine_room


def with_bounds(config: Config, bounds: OutboxSettings) -> Config:
    return replace(config, outbox=bounds)


def test_room_is_measured_against_the_outboxs_bounds(tmp_path: Path) -> None:
    """Below minFree events are refused now; below twice that soon; below maxBytes in a long outage."""
    free = shutil.disk_usage(tmp_path).free
    config = config_of(tmp_path / "not" / "made" / "yet")
    cases = {
        Level.PROBLEM: OutboxSettings(min_free=2 * free),
        Level.WARNING: OutboxSettings(min_free=free * 3 // 4, max_bytes=1),
        Level.NOTE: OutboxSettings(min_free=1, max_bytes=2 * free),
    }
    for level, bounds in cases.items():
        assert of(examine_room(with_bounds(config, bounds)), "disk.room").level is level


@pytest.mark.skipif(
    not Path("/proc/self/mounts").exists() or " /dev/shm tmpfs " not in Path("/proc/self/mounts").read_text(),
    reason="there is no file system in memory here",
)
def test_a_disk_that_is_memory() -> None:
    """What is accepted would be gone after a reboot."""
    found = of(examine_room(config_of(Path("/dev/shm/eventd"))), "disk.kind")
    assert found.level is Level.WARNING
