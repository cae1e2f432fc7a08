"""What is said of a server's sync interval: what is known, and plainly what is not."""

from pathlib import Path

import pytest

from eventd.config.settings import OutboxSettings
from eventd.doctor.durability import embedded_sync, foreign_sync
from eventd.doctor.model import Level
from eventd.embedded.store import StoreFolder


def test_the_embedded_servers_own_configuration_is_read(tmp_path: Path) -> None:
    """As it was written; one that somebody has changed is noticed."""
    store = StoreFolder(tmp_path)
    store.write_config(4222, 1024)
    assert embedded_sync(store.config, "default").level is Level.OK
    text = store.config.read_text()
    store.config.write_text(text.replace("sync_interval: always", "sync_interval: 30s"))
    assert embedded_sync(store.config, "default").level is Level.WARNING
    assert not embedded_sync(tmp_path / "none", "default").made


@pytest.mark.parametrize(("retain", "level"), [(300.0, Level.NOTE), (60.0, Level.WARNING)])
def test_of_any_other_server_it_cannot_be_told(retain: float, level: Level) -> None:
    """What it means depends on how far eventd can repair a loss."""
    found = foreign_sync(OutboxSettings(retain=retain), "default")
    assert found.level is level
    assert "cannot be told from outside" in found.found
    assert "sync_interval: always" in found.remedy
