"""Fixtures: somebody who has agent tools."""

from pathlib import Path

import pytest

from connecting.person import Person


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """A person whose tools have not been started yet."""
    return Person(tmp_path)
