"""Whole blocks for recorded conversations. After a change that is meant, look at what it did to them:

GOLDEN=write make test ARGS=tests/context/test_golden.py && git diff tests/context/golden
"""

import os
from pathlib import Path

import msgspec
import pytest

from context.stories import STORIES
from eventd.context.builder import build

FOLDER = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", STORIES)
def test_block_is_the_recorded_one(name: str) -> None:
    """The bytes are the same in every process, whatever its hash seed."""
    story = STORIES[name]()
    block = build(story.source(), story.request, story.settings)
    file = FOLDER / f"{name}.md"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(block.text, encoding="utf-8")
    assert block.text == file.read_text(encoding="utf-8")
    assert len(block.text) <= story.settings.budget
    assert msgspec.json.decode(msgspec.json.encode(block.document)) == block.document


def test_nothing_is_left_over() -> None:
    """Each file belongs to a story."""
    assert {file.stem for file in FOLDER.iterdir()} == set(STORIES)
