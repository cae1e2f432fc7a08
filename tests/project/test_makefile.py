"""What make does and does not do again, with a made-up Python that only writes down what it was asked."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

# Answers find-python's question, makes an "environment" of copies of itself, and logs everything else.
FAKE = """\
#!/bin/sh
case "$*" in
"-I -c"*) echo "3 13 0 $0" ;;
"-c import ensurepip") exit {ensurepip} ;;
"-m venv"*)
    rm -rf .venv
    mkdir -p .venv/bin
    touch .venv/pyvenv.cfg
    cp "$0" .venv/bin/python
    cp "$0" .venv/bin/eventd ;;
esac
case "$1" in -I | -c) ;; *) echo "$(basename "$0") $*" >>log ;; esac
"""

INSTALL = "python -m pip --disable-pip-version-check --quiet install"


class Checkout:
    """A copy of the files that `make` reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".ci").mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", ".ci/find-python"):
            shutil.copy(PROJECT / name, folder / name)
        self.python = folder / "python"
        self.python.write_text(FAKE.format(ensurepip=0))
        self.python.chmod(0o755)

    def make(self, *arguments: str, status: int = 0) -> list[str]:
        """Run make; return what the made-up Python was asked."""
        log = self.folder / "log"
        log.write_text("")
        result = self.call(f"PYTHON={self.python}", *arguments)
        assert result.returncode == status, result.stderr
        return log.read_text().splitlines()

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run make, without what a make that runs these tests passes on to makes below it."""
        return subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": f"{self.folder}:{os.environ['PATH']}"},
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh clone whose path has a space in it."""
    return Checkout(tmp_path / "my clone")


def test_run_sets_up_once(checkout: Checkout) -> None:
    """The first call makes the environment and installs; the next ones only run."""
    assert checkout.make("run") == [
        "python -m venv --clear .venv",
        f"{INSTALL} --editable .[embedded]",
        "eventd run --welcome",
    ]
    assert checkout.make("run", "ARGS=--config my.yml") == ["eventd run --welcome --config my.yml"]


def test_test_installs_what_tests_need_and_run_needs_no_more(checkout: Checkout) -> None:
    """Also in the other order nothing is missing."""
    assert checkout.make("test", "ARGS=-x") == [
        "python -m venv --clear .venv",
        f"{INSTALL} pip>=25.1",
        f"{INSTALL} --editable .[embedded] --group dev",
        "python -m pytest --numprocesses 3 --dist worksteal -x",
    ]
    assert checkout.make("test") == ["python -m pytest --numprocesses 3 --dist worksteal"]
    assert checkout.make("run") == ["eventd run --welcome"]


def test_a_changed_pyproject_installs_again(checkout: Checkout) -> None:
    """The environment itself is kept."""
    checkout.make("run")
    stamp = (checkout.folder / ".venv" / ".run").stat().st_mtime
    os.utime(checkout.folder / "pyproject.toml", (stamp + 5, stamp + 5))
    assert checkout.make("run")[:1] == [f"{INSTALL} --editable .[embedded]"]


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Checkout) -> None:
    """As after an upgrade of the Python that it was made with."""
    checkout.make("run")
    python = checkout.folder / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert checkout.make("run")[0] == "python -m venv --clear .venv"


def test_uv_makes_the_environment_where_python_cannot(checkout: Checkout) -> None:
    """Debian's python3 without python3-venv; no system package has to be installed for it."""
    checkout.python.write_text(FAKE.format(ensurepip=1))
    uv = checkout.folder / "uv"
    uv.write_text(f'#!/bin/sh\necho "uv $*" >>log\nexec "{checkout.python}" -m venv --clear .venv\n')
    uv.chmod(0o755)
    assert checkout.make("run") == [
        f"uv venv --quiet --seed --python {checkout.python} .venv",
        "python -m venv --clear .venv",
        f"{INSTALL} --editable .[embedded]",
        "eventd run --welcome",
    ]


def test_a_failed_environment_is_not_taken_for_one(checkout: Checkout) -> None:
    """The next call tries again."""
    checkout.python.write_text(FAKE.format(ensurepip=0) + 'case "$*" in "-m venv"*) exit 1 ;; esac\n')
    checkout.make("run", status=2)
    checkout.python.write_text(FAKE.format(ensurepip=0))
    assert checkout.make("run")[0] == "python -m venv --clear .venv"


def test_soak_lasts_as_long_as_is_asked(checkout: Checkout) -> None:
    """20 minutes where nothing is said."""
    assert checkout.make("soak", "MINUTES=2", "ARGS=--seed 3")[-1] == "python -m soak --minutes 2 --seed 3"
    assert checkout.make("soak") == ["python -m soak --minutes 20"]


def test_help_is_the_default_and_names_every_target(checkout: Checkout) -> None:
    """What can be made is never a secret."""
    text = (PROJECT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    shown = checkout.call().stdout
    assert [line.split()[1] for line in shown.splitlines()] == phony[1].split()
