"""`eventd run`, `init` and `config`, as far as they do not need a running daemon."""

import os
import stat
import sys
from pathlib import Path

import pytest

from cli.support import Eventd
from eventd.app import ReadyInfo
from eventd.cli import run
from eventd.config.load import load_file

WRONG = "gateway:\n  eventStore:\n    streamNam: x\n    url: 17\n"


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A small config file."""
    path = tmp_path / "config.yml"
    path.write_text("gateway:\n  eventStore:\n    url: nats://u:geheim@127.0.0.1:4222\n")
    path.chmod(0o600)
    return path


# init


def test_init_writes_a_file_that_can_be_used(tmp_path: Path) -> None:
    """For its owner only; its path is the output, what to do next is said beside it."""
    path = tmp_path / "new" / "config.yml"
    ended = Eventd()("init", "--path", path)
    assert (ended.code, ended.lines) == (0, [str(path)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_file(path).uses_embedded
    assert f"eventd --config {path} run" in ended.err


def test_init_leaves_a_file_that_is_there_alone(config_file: Path) -> None:
    """Unless it is forced, and then the old one is kept."""
    old = config_file.read_bytes()
    ended = Eventd(["--config", config_file])("init")
    assert ended.code == 1
    assert config_file.read_bytes() == old
    assert Eventd(["--config", config_file])("init", "--force").code == 0
    assert config_file.read_bytes() != old
    assert config_file.with_name("config.yml.old").read_bytes() == old


def test_init_writes_where_run_looks(tmp_path: Path) -> None:
    """Without a path it is the file of `$EVENTD_CONFIG`, else the system's place."""
    path = tmp_path / "c.yml"
    ended = Eventd()("init", EVENTD_CONFIG=str(path))
    assert ended.lines == [str(path)]
    assert path.exists()


# config


def test_check_says_that_a_file_is_fine(config_file: Path) -> None:
    """By argument, or the one that would be used."""
    assert Eventd()("config", "check", config_file).code == 0
    assert Eventd(["--config", config_file])("config", "check").code == 0
    assert Eventd()("config", "check", EVENTD_CONFIG=str(config_file)).err == f"{config_file} is fine\n"


def test_check_tells_every_problem_with_its_line(tmp_path: Path) -> None:
    """Each on a line that editors can jump to; code 1."""
    path = tmp_path / "c.yml"
    path.write_text(WRONG)
    ended = Eventd()("config", "check", path)
    assert ended.code == 1
    errors = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert [line.startswith(f"error: {path}:{number}: ") for line, number in zip(errors, (3, 4), strict=True)]
    assert "streamName" in errors[0]


@pytest.mark.parametrize("args", [["config", "check"], ["config", "show"], ["run"]], ids=" ".join)
def test_a_named_file_that_is_not_there_is_told(tmp_path: Path, args: list[str]) -> None:
    """It is never passed over in silence."""
    ended = Eventd(["--config", tmp_path / "c.yml"])(*args)
    assert ended.code == 1
    assert "c.yml" in ended.err
    assert "hint: " in ended.err


def test_show_hides_secrets(config_file: Path) -> None:
    """In both forms; everything else is there."""
    for args in (["show"], ["show", "--json"]):
        ended = Eventd(["--config", config_file])("config", *args)
        assert ended.code == 0
        assert b"127.0.0.1:4222" in ended.out
        assert "geheim" not in ended.out.decode() + ended.err
    assert ended.objects[0]["gateway"]["eventStore"]["user"] == "u"


# run


def test_run_with_a_wrong_file_does_not_start(tmp_path: Path) -> None:
    """The same messages as `config check`."""
    path = tmp_path / "c.yml"
    path.write_text(WRONG)
    assert Eventd(["--config", path])("run").err == Eventd()("config", "check", path).err


def info(tmp_path: Path, socket: Path) -> ReadyInfo:
    return ReadyInfo(socket, tmp_path, "the embedded NATS server", None)


def test_the_welcome_says_how_to_send_the_first_event(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where everything is, and two commands that can be typed as they stand."""
    monkeypatch.setattr(sys, "argv", [".venv/bin/eventd"])
    monkeypatch.setenv("EVENTD_SOCKET", str(tmp_path / "a b.sock"))
    run._welcome(info(tmp_path, tmp_path / "a b.sock"))
    said = capsys.readouterr().err
    typed = f".venv/bin/eventd --socket '{tmp_path}/a b.sock'"
    assert f'  {typed} emit --type conversation.message.in --text "hello"\n' in said
    assert f"  {typed} tail\n" in said
    assert str(tmp_path) in said
    assert "the embedded NATS server" in said


def test_a_socket_at_its_usual_place_needs_no_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients look there by themselves."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    run._welcome(info(tmp_path, tmp_path / "eventd" / "eventd.sock"))
    assert "--socket" not in capsys.readouterr().err


def test_the_command_is_shown_as_it_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name when the shell finds it, else by its path from here; as a module when it was started so."""
    program = tmp_path / "bin" / "eventd"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.chdir("/")
    assert run.typed_command() == str(program).removeprefix("/")
    monkeypatch.chdir(tmp_path)
    assert run.typed_command() == "bin/eventd"
    monkeypatch.setenv("PATH", str(program.parent))
    assert run.typed_command() == "eventd"
    monkeypatch.setattr(sys, "argv", ["/somewhere/eventd/__main__.py"])
    assert run.typed_command().endswith(" -m eventd")
