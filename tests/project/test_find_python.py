"""The order in which `.ci/find-python` looks, with made-up interpreters in a made-up PATH."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "find-python"

# Runs what it is given as an interpreter of another version would.
FAKE = """\
#!/bin/sh
exec '{real}' -I -S -c '
import sys
sys.executable, code = sys.argv[1], sys.argv[4]
sys.version_info = ({version})
if not {venv}:
    sys.modules["ensurepip"] = None
sys.argv = ["-c", *sys.argv[5:]]
exec(code)
' "$0" "$@"
"""

SHIM = "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n"


class Machine:
    """A PATH of two folders, a home, and a pyenv without any version."""

    def __init__(self, root: Path) -> None:
        self.first, self.second, self.home = root / "first", root / "second", root / "home"
        self.pyenv = self.home / ".pyenv"
        for folder in (self.first, self.second, self.home, self.pyenv / "versions"):
            folder.mkdir(parents=True)
        for tool in ("ls", "sort", "tail"):  # what the script itself needs, and no Python
            real = next(path for path in (Path("/bin", tool), Path("/usr/bin", tool)) if path.exists())
            (self.second / tool).symlink_to(real)

    def add(self, file: Path, version: str, *, venv: bool = True) -> str:
        """Add an interpreter; `version` is like `3.13.1`."""
        text = FAKE.format(real=sys.executable, version=version.replace(".", ","), venv=venv)
        return self.program(file, text)

    def add_pyenv(self, name: str, version: str = "") -> str:
        """Add a version of pyenv's."""
        return self.add(self.pyenv / "versions" / name / "bin" / "python", version or name)

    def program(self, file: Path, text: str) -> str:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
        return str(file)

    def find(self, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SCRIPT)],
            env={"PATH": f"{self.first}:{self.second}", "HOME": str(self.home), **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )

    def found(self, environment: Mapping[str, str] | None = None) -> str:
        """The path that was printed; nothing else is."""
        result = self.find(environment)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout.removesuffix("\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without any Python; its paths have a space in them."""
    return Machine(tmp_path / "my machine")


def test_the_named_one_comes_first(machine: Machine) -> None:
    """`$PYTHON` wins over newer ones."""
    machine.add(machine.first / "python3.14", "3.14.0")
    named = machine.add(machine.home / "mine", "3.12.0")
    assert machine.found({"PYTHON": named}) == named


def test_a_named_one_that_is_too_old_is_passed_over(machine: Machine) -> None:
    """The search goes on."""
    right = machine.add(machine.first / "python3", "3.12.0")
    named = machine.add(machine.home / "mine", "3.11.9")
    assert machine.found({"PYTHON": named}) == right


def test_newer_names_come_first_wherever_they_are(machine: Machine) -> None:
    """python3.14, then 3.13, then 3.12, then python3."""
    expected = [
        machine.add(machine.second / "python3.14", "3.14.0"),
        machine.add(machine.first / "python3.13", "3.13.0"),
        machine.add(machine.second / "python3.12", "3.12.0"),
        machine.add(machine.first / "python3", "3.12.4"),
    ]
    for path in expected:
        assert machine.found() == path
        Path(path).unlink()


def test_a_shim_without_a_version_behind_it_is_passed_over(machine: Machine) -> None:
    """pyenv has a shim for every version that it ever had; the same name further on does run."""
    machine.program(machine.first / "python3.13", SHIM)
    right = machine.add(machine.second / "python3.13", "3.13.0")
    assert machine.found() == right


def test_an_old_python3_leaves_pyenv(machine: Machine) -> None:
    """Its newest is taken: 3.13.10 is newer than 3.13.9, and what is too old or odd does not count."""
    machine.add(machine.first / "python3", "3.11.2")
    for name in ("3.8.1", "3.13.9", "3.12.11"):
        machine.add_pyenv(name)
    newest = machine.add_pyenv("my project", "3.13.10")
    machine.program(machine.pyenv / "versions" / "broken" / "bin" / "python", SHIM)
    assert machine.found() == newest


def test_pyenv_may_be_elsewhere(machine: Machine) -> None:
    """`$PYENV_ROOT`, else what `pyenv root` says."""
    moved = machine.home / "elsewhere"
    machine.pyenv.rename(moved)
    machine.pyenv = moved
    right = machine.add_pyenv("3.12.1")
    assert machine.found({"PYENV_ROOT": str(moved)}) == right
    assert machine.find().returncode == 1
    machine.program(machine.first / "pyenv", f"#!/bin/sh\necho '{moved}'\n")
    assert machine.found() == right


def test_uv_comes_last(machine: Machine) -> None:
    """Only when nothing else will do."""
    managed = machine.add(machine.home / "uv" / "python3.13", "3.13.0")
    machine.program(
        machine.first / "uv", f"#!/bin/sh\n[ \"$*\" = 'python find >=3.12' ] && echo '{managed}'\n"
    )
    assert machine.found() == managed
    pyenv = machine.add_pyenv("3.12.1")
    assert machine.found() == pyenv


def test_one_that_cannot_make_environments_is_a_last_resort(machine: Machine) -> None:
    """Debian splits that off: another Python is better, and uv can do it for this one."""
    split = machine.add(machine.first / "python3.13", "3.13.0", venv=False)
    assert machine.find().returncode == 1
    machine.program(machine.first / "uv", "#!/bin/sh\nexit 2\n")
    assert machine.found() == split
    whole = machine.add(machine.second / "python3.12", "3.12.0")
    assert machine.found() == whole


def test_none_is_one_clear_line(machine: Machine) -> None:
    """It says what is missing and how to go on."""
    machine.add(machine.first / "python3", "3.11.2")
    result = machine.find()
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert "no Python 3.12 or newer found" in result.stderr
    assert "PYTHON=" in result.stderr
