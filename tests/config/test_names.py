"""Names that JetStream takes."""

import pytest

from eventd.config.names import domain_fault, prefix_fault, stream_fault


@pytest.mark.parametrize("name", ["openclaw-events", "EVENTS", "a_b", "$x", "é", "s" * 255])
def test_a_stream_name_that_jetstream_takes(name: str) -> None:
    """JetStream forbids little; neither do we."""
    assert stream_fault(name) is None


@pytest.mark.parametrize(
    "name", ["", "a b", "a.b", "a*", ">", "a/b", "a\\b", "a\n", "a\x7f", "\u00a0", "s" * 256]
)
def test_a_stream_name_that_jetstream_refuses(name: str) -> None:
    """Refused here it has a line; refused by the server only an err_code."""
    assert "stream name" in (stream_fault(name) or "")


@pytest.mark.parametrize("prefix", ["openclaw.events", "a", "a.b-c.d_e", "agents.%C3%A9"])
def test_a_prefix_of_plain_words(prefix: str) -> None:
    """Words between single dots."""
    assert prefix_fault(prefix) is None


@pytest.mark.parametrize("prefix", ["", ".a", "a.", "a..b", "a.*", "a.>", "a b", "a.b\t", "p" * 256])
def test_a_prefix_that_no_subject_can_begin_with(prefix: str) -> None:
    """A wildcard in a prefix would send events where nobody meant."""
    assert "prefix" in (prefix_fault(prefix) or "")


@pytest.mark.parametrize("prefix", ["$JS.API", "$SYS", "_INBOX.a"])
def test_a_prefix_that_belongs_to_nats(prefix: str) -> None:
    """Events there would be taken for requests to the server."""
    assert "belong to NATS" in (prefix_fault(prefix) or "")


def test_a_domain_is_one_token() -> None:
    """It stands inside of the API's subjects."""
    assert domain_fault("hub-1") is None
    assert all(domain_fault(name) for name in ("", "a.b", "a b", "*", ">"))
