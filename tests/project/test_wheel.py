"""What is in the wheel: it is all that most people ever get."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = Path("eventd", "service", "units")


@pytest.fixture
def unpacked(short_tmp: Path) -> Path:
    """A folder with what the wheel would install."""
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", f"--wheel-dir={short_tmp}", str(ROOT)]
    done = subprocess.run(build, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be built here: {done.stderr.decode(errors='replace')[-300:]}")
    with zipfile.ZipFile(next(short_tmp.glob("*.whl"))) as wheel:
        wheel.extractall(short_tmp / "site")
    return short_tmp / "site"


def test_the_wheel_carries_the_unit_files(unpacked: Path) -> None:
    """As they are in the checkout, each of them; and `eventd service` finds them there."""
    for path in [path for name in ("systemd", "launchd") for path in (ROOT / name).rglob("*.*")]:
        assert (unpacked / UNITS / path.relative_to(ROOT)).read_bytes() == path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "eventd", "service", "install", "--user", "--dry-run"],
        cwd=unpacked,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "write " in done.stdout


def test_the_wheel_carries_the_openclaw_plugin(unpacked: Path) -> None:
    """All of its files: `eventd connect openclaw` has nothing else to copy from."""
    plugin = Path("eventd", "data", "openclaw-plugin")
    source = ROOT / "daemon" / plugin
    files = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    assert Path("openclaw.plugin.json") in files
    for path in files:
        assert (unpacked / plugin / path).read_bytes() == (source / path).read_bytes()
