"""Addresses: what is understood, normalised and refused, and that nothing of them is ever quoted."""

import pytest

from eventd.config.urls import NOTHING, parse_url
from eventd.routes import Credentials
from eventd.secret import Secret


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("nats://localhost:4222", ("nats://localhost:4222",)),
        ("nats://localhost", ("nats://localhost:4222",)),
        ("localhost", ("nats://localhost:4222",)),
        ("localhost:4223", ("nats://localhost:4223",)),
        ("TLS://Host.Example:1/", ("tls://host.example:1",)),
        ("nats://[::1]:4222", ("nats://[::1]:4222",)),
        ("nats://a, tls://b:2,c", ("nats://a:4222", "tls://b:2", "nats://c:4222")),
        ("embedded", ("embedded",)),
        (" embedded ", ("embedded",)),
    ],
)
def test_addresses_are_normalised(text: str, urls: tuple[str, ...]) -> None:
    """Two spellings of one server must be equal: inheritance and overlap are decided by it."""
    assert parse_url(text).urls == urls
    assert parse_url(text).credentials == NOTHING


@pytest.mark.parametrize(
    ("text", "user", "secret"),
    [
        ("nats://user:pass@h", "user", "pass"),
        ("user:pass@h:4222", "user", "pass"),
        ("nats://u%40x:p%2F%3A%25%2c@h", "u@x", "p/:%,"),
        ("nats://u:p@ss:w@h", "u", "p@ss:w"),
        ("nats://u:p+%C3%A9@h", "u", "p+é"),
        ("nats://t0k%2Fen@h", None, "t0k/en"),
        ("nats://u:p@a,nats://b", "u", "p"),
        ("nats://a,nats://u:p@b", "u", "p"),
        ("nats://u:p@a,nats://u:p@b", "u", "p"),
    ],
)
def test_credentials_leave_the_url_and_are_decoded(text: str, user: str | None, secret: str) -> None:
    """One set for all servers; a lone name before the @ is a token, as in every NATS client."""
    parsed = parse_url(text)
    assert all("@" not in url for url in parsed.urls)
    wanted = Credentials(user, Secret(secret)) if user else Credentials(token=Secret(secret))
    assert parsed.credentials == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://h", "begins with nats:// or tls://"),
        ("hunter2://h", "begins with nats:// or tls://"),
        ("ws://u:hunter2@h", "WebSocket"),
        ("wss://h", "WebSocket"),
        ("nats://", "host or port is missing"),
        ("nats://:4222", "host or port is missing"),
        ("nats://h:0", "host or port is missing"),
        ("nats://h:hunter2", "no address like"),
        ("nats://h:70000", "no address like"),
        ("nats://[::1", "no address like"),
        ("nats://u:hunter2/x@h", "no address like"),
        ("nats://u:1/hunter2@h", "nothing can follow the port"),
        ("nats://u:hunter2#x@h", "no address like"),
        ("nats://u:hunter2,x@h", "no address like"),
        ("nats://h/hunter2", "nothing can follow the port"),
        ("nats://h?hunter2", "nothing can follow the port"),
        ("nats://:hunter2@h", "user:password or a token"),
        ("nats://hunter2:@h", "user:password or a token"),
        ("nats://@h", "user:password or a token"),
        ("nats://u:hunter2@a,nats://u:other@b", "different ones"),
        ("nats://hunter2@a,nats://u:p@b", "different ones"),
        ("nats://a,nats://a:4222", "twice"),
        ("nats://a,,nats://b", "a server is missing"),
        ("", "a server is missing"),
        ("nats://a,embedded", "stands alone"),
    ],
)
def test_what_is_no_address_is_refused_without_quoting_it(text: str, reason: str) -> None:
    """Where reading failed nobody knows which part was the password."""
    with pytest.raises(ValueError, match=reason) as caught:
        parse_url(text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
