"""`${ENV}` in values: what it stands for, and what it may become."""

import pytest

from eventd.config.expand import expand
from eventd.config.load import load_text

ENVIRON = {"NAME": "value", "EMPTY": "", "TRICK": "${NAME}", "_u2": "under"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("${NAME}", "value"),
        ("a${NAME}b${_u2}c", "avaluebunderc"),
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", "default"),
        ("${ABSENT:-default}", "default"),
        ("${ABSENT:-}", ""),
        ("${NAME:-default}", "value"),
        ("${ABSENT:-a:-b $c}", "a:-b $c"),
        ("$${NAME}", "${NAME}"),
        ("$$${NAME}", "$${NAME}"),
        ("$NAME $ $$ }{", "$NAME $ $$ }{"),
        ("${TRICK}", "${NAME}"),
    ],
)
def test_a_reference_becomes_its_variable(text: str, result: str) -> None:
    """What a variable holds is not looked at again."""
    assert expand(text, ENVIRON) == result


@pytest.mark.parametrize("text", ["${ABSENT}", "a ${NAME} ${ABSENT}"])
def test_a_missing_variable_is_named(text: str) -> None:
    """Nothing is as hard to find as a password that is silently empty."""
    with pytest.raises(ValueError, match="the environment variable ABSENT is not set"):
        expand(text, ENVIRON)


@pytest.mark.parametrize("text", ["${", "${}", "${NAME", "${1x}", "${a b}", "${NAME:default}", "${:-x}"])
def test_half_a_reference_is_refused_with_the_way_to_write_it(text: str) -> None:
    """A value that really has `${` in it can still be written."""
    with pytest.raises(ValueError, match=r"write \$\$\{ for a plain \$\{"):
        expand(text, ENVIRON)


def test_a_variable_can_hold_any_type_of_value() -> None:
    """A variable is always text; what it means is decided by the setting."""
    text = """
gateway:
  eventStore:
    enabled: ${ON}
    url: nats://${HOST}:4222
    user: ${NUMBER}
    password: ${YES}
    outbox: {retain: "${RETAIN:-5m}", ledgerIds: "${NUMBER}"}
    log: {level: "${LEVEL}"}
"""
    environ = {"ON": "false", "HOST": "h", "NUMBER": "12345", "YES": "yes", "LEVEL": "debug"}
    config = load_text(text, None, environ)
    credentials = config.routes.default.server.credentials
    assert not config.enabled
    assert (credentials.user, credentials.password and credentials.password.reveal()) == ("12345", "yes")
    assert (config.outbox.retain, config.outbox.ledger_ids, config.log.level) == (300, 12345, "debug")


def test_keys_are_not_expanded() -> None:
    """What an agent is called must not depend on who starts the daemon."""
    config = load_text("gateway: {eventStore: {agents: {'${NAME}': {}}}}", None, ENVIRON)
    assert list(config.routes.by_agent) == ["${NAME}"]
