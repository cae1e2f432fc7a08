"""The plugin's parts, each tested in Node: `node/*.test.mjs`."""

import os
import subprocess
from pathlib import Path

import pytest

from .host import PLUGIN

FOLDER = Path(__file__).parent / "node"
PROTOCOL = Path(__file__).parents[2] / "ipc" / "PROTOCOL.md"
TIMEOUT = 120.0  # seconds; a bound against hanging


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.test.mjs")))
def test_part(node: str, name: str) -> None:
    """Node's own test runner has the details."""
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", str(FOLDER / name)],
        env=os.environ | {"PLUGIN": str(PLUGIN), "PROTOCOL": str(PROTOCOL)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
