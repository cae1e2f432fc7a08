"""`eventd config show`: what takes effect, in the form of the file."""

import json
from pathlib import Path

import pytest
import yaml

from eventd.config.load import default_config, load_file, load_text
from eventd.config.render import effective, render

DOCUMENTS = Path(__file__).parent / "documents"

WITH_FILES = """
gateway:
  eventStore:
    url: nats://a,nats://b
    credsFile: secret
    tls: {caFile: secret, serverName: n}
    jsDomain: hub
    stream: {maxAge: 1h30m, maxBytes: 0, replicas: 3, placement: {cluster: c, tags: [a, '!b']}}
    socket: {path: s.sock}
    embedded: {storeDir: store}
    agents:
      bob: {user: u, passwordFile: secret, streamName: own, enabled: false}
      a.b: {url: 'nats://c', natsTokenFile: secret, stream: {duplicateWindow: 250ms}}
      eve: {url: embedded}
      tag: {streamName: t, stream: {placement: {tags: x}}}
"""


@pytest.mark.parametrize("text", ["", WITH_FILES])
def test_what_is_shown_loads_again_and_means_the_same(text: str, tmp_path: Path) -> None:
    """Nothing is left out, and defaults and inherited values are the effective ones."""
    (tmp_path / "secret").write_text("s")
    (tmp_path / "secret").chmod(0o600)
    config = load_text(text, tmp_path / "config.yml", {})
    again = load_text(render(config), tmp_path / "config.yml", {})
    assert (again.routes, again.outbox, again.socket, again.log) == (
        config.routes,
        config.outbox,
        config.socket,
        config.log,
    )
    assert (again.data_dir, again.embedded_store) == (config.data_dir, config.embedded_store)


def test_values_have_units_and_secrets_are_masked() -> None:
    """A person reads it, and may send it to others."""
    node = effective(load_file(DOCUMENTS / "full-options.yml"))["gateway"]["eventStore"]
    assert node["url"] == "nats://localhost:4222"
    assert (node["user"], node["password"]) == ("user", "********")
    assert node["agents"]["my-agent"]["password"] == "********"
    assert node["stream"]["maxAge"] == "90d"
    assert node["outbox"]["maxBytes"] == "1GiB"


def test_the_json_and_the_yaml_form_are_the_same() -> None:
    """One object for programs, one file for people."""
    config = default_config()
    assert yaml.safe_load(render(config)) == json.loads(json.dumps(effective(config))) == effective(config)
