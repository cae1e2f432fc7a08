"""Where metrics may be served: on this machine alone."""

from pathlib import Path

import pytest

from eventd.config.listen import parse_listen
from eventd.config.load import load_text
from eventd.config.problems import InvalidConfig
from eventd.config.render import render
from eventd.config.settings import TcpAddress

FILE = "gateway:\n  eventStore:\n    metrics:\n      listen: '{}'\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:9464", TcpAddress("127.0.0.1", 9464)),
        ("localhost:0", TcpAddress("127.0.0.1", 0)),
        ("[::1]:9464", TcpAddress("::1", 9464)),
        ("127.1.2.3:1", TcpAddress("127.1.2.3", 1)),
        ("metrics.sock", Path("metrics.sock")),
        ("/run/a:9464", Path("/run/a:9464")),
    ],
)
def test_an_address_of_this_machine_or_a_path(text: str, place: TcpAddress | Path) -> None:
    """What is no `host:port` is a path."""
    assert parse_listen(text) == place


@pytest.mark.parametrize(
    "text", ["0.0.0.0:9464", "[::]:9464", ":9464", "10.0.0.1:1", "host:1", "9464", "", "127.0.0.1:65536"]
)
def test_anything_else_is_a_problem_of_its_line(text: str) -> None:
    """It tells who the agents are, so no mistake may open it to the network."""
    with pytest.raises(InvalidConfig) as raised:
        load_text(FILE.format(text), None, {})
    assert [(problem.line, problem.key) for problem in raised.value.problems] == [
        (4, "gateway.eventStore.metrics.listen")
    ]


@pytest.mark.parametrize("text", ["[::1]:9464", "m.sock"])
def test_what_is_shown_loads_again(text: str, tmp_path: Path) -> None:
    """A path begins at the folder of the file."""
    config = load_text(FILE.format(text), tmp_path / "config.yml", {})
    assert config.metrics.listen in (TcpAddress("::1", 9464), tmp_path / "m.sock")
    assert load_text(render(config), tmp_path / "config.yml", {}).metrics == config.metrics
