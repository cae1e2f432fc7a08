"""Secrets of a configuration are nowhere to be seen, whether it is sound or not."""

import logging
import traceback
from pathlib import Path

import pytest

from eventd.config.load import load_text
from eventd.config.render import effective, render
from eventd.errors import ConfigError
from eventd.secret import MASK

SECRET = "hunter2"

SOUND = [
    f"url: nats://u:{SECRET}@h",
    f"url: nats://{SECRET}@h",
    f"url: nats://u:{SECRET}%2F@h,nats://b",
    f"natsUrl: nats://u:{SECRET}@h",
    f"url: nats://h\n    natsToken: {SECRET}",
    f"url: nats://h\n    nkeySeed: {SECRET}",
    f"url: nats://h\n    user: u\n    password: {SECRET}",
    "url: nats://u:${PASSWORD}@h",
    "url: nats://h\n    natsToken: ${PASSWORD}",
    f"agents: {{a: {{url: 'nats://u:{SECRET}@h'}}}}",
]

BROKEN = [
    f"url: nats://u:{SECRET}/@h",
    f"url: nats://h:{SECRET}",
    f"url: {SECRET}://h",
    f"url: ws://{SECRET}@h",
    f"url: nats://u:{SECRET}@h\n    natsToken: {SECRET}",
    f"url: nats://u:{SECRET}@h\n    natsUrl: nats://u:{SECRET}x@h",
    f"url: nats://h\n    password: {SECRET}",
    f"url: nats://h\n    natsToken: {SECRET}\n    nkeySeed: {SECRET}",
    f"natsToken: {SECRET}",
    f"natsToken: [{SECRET}]",
    f"natsToken: {{{SECRET}: {SECRET}}}",
    f"natsToken: *{SECRET}",
    f"natsToken: !{SECRET}",
    f"natsToken: !!binary {SECRET}",
    f"natsToken: @{SECRET}",
    f"natsToken: %{SECRET}",
    f"natsToken: `{SECRET}",
    f'natsToken: "{SECRET}',
    f"natsToken: '{SECRET}' {SECRET}",
    f"natsToken: a: {SECRET}",
    f"natsToken: |{SECRET}",
    f"natsToken: {{{SECRET}",
    f"natsToken: &a {SECRET}\n    user: &a *{SECRET}",
    f"token\n    {SECRET}",
    f"port: {SECRET}",
    f"log: {{level: {SECRET}}}",
    f"enabled: {SECRET}",
    f"outbox: {{retain: {SECRET}, maxBytes: {SECRET}, ledgerIds: {SECRET}}}",
    f"streamName: a {SECRET}",
    f"subjectPrefix: a {SECRET}",
    f"jsDomain: a {SECRET}",
    "streamName: a ${PASSWORD}",
    "enabled: ${PASSWORD}",
    "url: ${PASSWORD}://h",
]


def load(keys: str) -> object:
    return load_text(f"gateway:\n  eventStore:\n    {keys}\n", Path("config.yml"), {"PASSWORD": SECRET})


@pytest.mark.parametrize("keys", SOUND)
def test_a_configuration_can_be_shown_and_logged(keys: str, caplog: pytest.LogCaptureFixture) -> None:
    """`repr` is what ends up in logs and tracebacks; `config show` is sent to colleagues."""
    text = f"gateway:\n  eventStore:\n    {keys}\n"
    config = load_text(text, None, {"PASSWORD": SECRET})
    with caplog.at_level(logging.DEBUG):
        logging.getLogger(__name__).info("%s %r", config, config.routes, extra={"config": config})
    shown = [
        repr(config),
        str(config),
        render(config),
        repr(effective(config)),
        caplog.text,
        *config.warnings,
    ]
    assert SECRET not in "".join(shown)
    assert "********" in render(config)


@pytest.mark.parametrize("keys", BROKEN)
def test_an_error_quotes_no_value(keys: str) -> None:
    """Neither the message nor the traceback: a mistake is often a secret in the wrong place."""
    with pytest.raises(ConfigError) as caught:
        load(keys)
    assert SECRET not in str(caught.value) + caught.value.hint
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert "config.yml:" in str(caught.value)


@pytest.mark.parametrize("keys", ["agents: {a: {token: S}}", "{url: nats://h, user: u, password: S}"])
def test_the_mask_of_a_secret_is_none(keys: str) -> None:
    """Who saves what `config show` prints would have a token that everybody knows."""
    assert load(keys.replace("S", SECRET))
    with pytest.raises(ConfigError, match="in place of a secret"):
        load(keys.replace("S", f"'{MASK}'"))
