"""What is in the wheel: it is all that most people ever get."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = "eventd/service/units"


def test_the_wheel_carries_the_unit_files(short_tmp: Path) -> None:
    """As they are in the checkout, each of them."""
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", f"--wheel-dir={short_tmp}", str(ROOT)]
    done = subprocess.run(build, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be built here: {done.stderr.decode(errors='replace')[-300:]}")
    with zipfile.ZipFile(next(short_tmp.glob("*.whl"))) as wheel:
        carried = {name: wheel.read(name) for name in wheel.namelist() if name.startswith(f"{UNITS}/")}
    files = [path for name in ("systemd", "launchd") for path in (ROOT / name).rglob("*") if path.is_file()]
    assert carried == {f"{UNITS}/{path.relative_to(ROOT)}": path.read_bytes() for path in files}
    assert carried
