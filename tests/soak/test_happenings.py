"""What a soak does to the configuration is what the daemon would take."""

from pathlib import Path

from eventd.config.load import load_text
from soak.happenings import GUEST, Happenings
from support.daemon import Daemon
from support.nats import NatsServer

NO_SERVER = "nats://127.0.0.1:9"  # the discard port: nobody listens


def test_an_agent_comes_and_goes(short_tmp: Path) -> None:
    """With a stream of its own, beside those that are there already."""
    own = {"streamName": "own", "subjectPrefix": "apart.own"}
    with Daemon(short_tmp / "d", {"url": NO_SERVER, "agents": {"own": own}}) as daemon:
        happenings = Happenings(daemon, NatsServer(short_tmp / "nats"), edits=True)
        path = daemon.folder / "config.yml"
        assert happenings.write_config()
        config = load_text(path.read_text(), path)
        assert config.warnings == ()
        assert {name: route.stream for name, route in config.routes.by_agent.items()} == {
            "own": "own",
            GUEST: GUEST,
        }
        assert not happenings.write_config()
        assert set(load_text(path.read_text(), path).routes.by_agent) == {"own"}
