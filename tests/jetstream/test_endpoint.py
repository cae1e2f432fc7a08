"""Every way to log in, and TLS, against real servers; secrets stay out of what is shown."""

from collections.abc import Callable
from pathlib import Path

import nkeys
import pytest
import trustme

from eventd.errors import ConfigError, NatsError
from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.session import open_session
from eventd.routes import Credentials, Tls
from eventd.secret import Secret
from support.accounts import Accounts, Key
from support.nats import NatsServer

pytestmark = pytest.mark.anyio

NatsFactory = Callable[..., NatsServer]


async def enters(endpoint: Endpoint) -> bool:
    """Whether the server lets us in."""
    try:
        async with open_session(endpoint, "test") as session:
            await session.api("INFO")
    except NatsError:
        return False
    return True


async def test_user_and_password(nats_factory: NatsFactory) -> None:
    server = nats_factory(config="authorization { user: eventd, password: right }")
    assert await enters(Endpoint((server.url,), Credentials(user="eventd", password=Secret("right"))))
    assert not await enters(Endpoint((server.url,), Credentials(user="eventd", password=Secret("wrong"))))
    assert not await enters(Endpoint((server.url,)))


async def test_a_password_file_is_read_at_each_connection(nats_factory: NatsFactory, tmp_path: Path) -> None:
    server = nats_factory(config="authorization { user: eventd, password: right }")
    file = tmp_path / "password"
    file.write_text("wrong\n")
    endpoint = Endpoint((server.url,), Credentials(user="eventd", password=Secret(path=file)))
    assert not await enters(endpoint)
    file.write_text("right\n")
    assert await enters(endpoint)


async def test_a_token(nats_factory: NatsFactory) -> None:
    server = nats_factory(config="authorization { token: right }")
    assert await enters(Endpoint((server.url,), Credentials(token=Secret("right"))))
    assert not await enters(Endpoint((server.url,), Credentials(token=Secret("wrong"))))


async def test_an_nkey(nats_factory: NatsFactory) -> None:
    key, other = Key(nkeys.PREFIX_BYTE_USER), Key(nkeys.PREFIX_BYTE_USER)
    server = nats_factory(config=f"authorization {{ users: [ {{ nkey: {key.public} }} ] }}")
    assert await enters(Endpoint((server.url,), Credentials(nkey_seed=Secret(key.seed.decode()))))
    assert not await enters(Endpoint((server.url,), Credentials(nkey_seed=Secret(other.seed.decode()))))


async def test_a_credentials_file(nats_factory: NatsFactory, tmp_path: Path) -> None:
    accounts = Accounts()
    server = nats_factory(config=accounts.server_config)
    file = tmp_path / "agents.creds"
    endpoint = Endpoint((server.url,), Credentials(creds_file=file))
    with pytest.raises(ConfigError, match=r"agents\.creds is not there") as caught:
        await enters(endpoint)
    assert "credsFile" in caught.value.hint
    accounts.write_creds(file)
    assert await enters(endpoint)


class Pki:
    """A certificate authority, and the files that it has made."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.cert, self.key = folder / "client.pem", folder / "client-key.pem"
        authority.cert_pem.write_to_path(self.ca)
        client = authority.issue_cert("agent@example.org")
        client.cert_chain_pems[0].write_to_path(self.cert)
        client.private_key_pem.write_to_path(self.key)
        server = authority.issue_cert("127.0.0.1", "nats.example.org")
        server.cert_chain_pems[0].write_to_path(folder / "server.pem")
        server.private_key_pem.write_to_path(folder / "server-key.pem")
        self.server_config = (
            f'cert_file: "{folder}/server.pem", key_file: "{folder}/server-key.pem", ca_file: "{self.ca}"'
        )


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


def tls_url(server: NatsServer) -> str:
    return f"tls://127.0.0.1:{server.port}"


async def test_a_tls_server_is_checked_against_the_given_authority(
    nats_factory: NatsFactory, pki: Pki
) -> None:
    server = nats_factory(config=f"tls {{ {pki.server_config} }}")
    assert await enters(Endpoint((tls_url(server),), tls=Tls(ca_file=pki.ca)))
    assert await enters(Endpoint((tls_url(server),), tls=Tls(ca_file=pki.ca, server_name="nats.example.org")))
    assert not await enters(Endpoint((tls_url(server),)))  # nobody whom this system knows has signed it
    wrong = Tls(ca_file=pki.ca, server_name="other.example.org")
    assert not await enters(Endpoint((tls_url(server),), tls=wrong))


async def test_a_server_that_wants_to_know_its_clients_gets_our_certificate(
    nats_factory: NatsFactory, pki: Pki
) -> None:
    server = nats_factory(config=f"tls {{ {pki.server_config}, verify: true }}")
    known = Tls(ca_file=pki.ca, cert_file=pki.cert, key_file=pki.key)
    assert await enters(Endpoint((tls_url(server),), tls=known))
    assert not await enters(Endpoint((tls_url(server),), tls=Tls(ca_file=pki.ca)))


async def test_a_tls_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TLS files") as caught:
        await Endpoint(("tls://127.0.0.1:1",), tls=Tls(ca_file=tmp_path / "missing.pem")).options()
    assert "tls.caFile" in caught.value.hint
