"""Addresses of NATS servers, and the credentials that people put into them."""

from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from ..routes import EMBEDDED, Credentials
from ..secret import Secret

DEFAULT_PORT = 4222
SCHEMES = ("nats", "tls")
WEBSOCKETS = ("ws", "wss")

NOTHING = Credentials()

ENCODE_HINT = "in user and password, characters like / ? # @ , and % are written %2F %3F %23 %40 %2C and %25"


@dataclass(frozen=True, slots=True)
class ParsedUrl:
    """What a `url` says: normalised servers, without the credentials, and the credentials."""

    urls: tuple[str, ...]
    credentials: Credentials


def parse_url(text: str) -> ParsedUrl:
    """Read one or several comma-separated servers, each `[nats|tls]://[user:password|token@]host[:port]`.

    Raises:
        ValueError: With the reason, which quotes nothing of the text: any part of it may be a secret.
    """
    if text.strip() == EMBEDDED:
        return ParsedUrl((EMBEDDED,), NOTHING)
    urls: list[str] = []
    credentials = NOTHING
    for part in text.split(","):
        url, login = _parse_server(part.strip())
        urls.append(url)
        if NOTHING not in (login, credentials) and login != credentials:
            raise ValueError("all servers of one url take the same credentials; these have different ones")
        credentials = login if login != NOTHING else credentials
    if len(set(urls)) < len(urls):
        raise ValueError("a server stands in this url twice")
    return ParsedUrl(tuple(urls), credentials)


def _parse_server(text: str) -> tuple[str, Credentials]:
    if not text:
        raise ValueError("a server is missing; write one like nats://localhost:4222")
    if text == EMBEDDED:
        raise ValueError(f"{EMBEDDED} stands alone, not among other servers")
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower() if separator else "nats"
    if scheme in WEBSOCKETS:
        raise ValueError(
            "WebSocket addresses (ws, wss) are not supported; use nats or tls, usually port 4222"
        )
    if scheme not in SCHEMES:
        raise ValueError("an address begins with nats:// or tls://")
    try:
        split = urlsplit(f"{scheme}://{rest if separator else text}")
        host, port = split.hostname, split.port if split.port is not None else DEFAULT_PORT
    except ValueError:  # its message quotes what it could not read
        raise ValueError(f"this is no address like nats://host:4222; {ENCODE_HINT}") from None
    if not host or not host.isprintable() or " " in host or port == 0:
        raise ValueError(
            f"the host or port is missing; an address looks like nats://host:4222; {ENCODE_HINT}"
        )
    if split.path not in ("", "/") or split.query or split.fragment:
        raise ValueError(f"nothing can follow the port; {ENCODE_HINT}")
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}", _login(split)


def _login(split: SplitResult) -> Credentials:
    """Return the credentials; a lone user is a token, as in every NATS client."""
    if split.username is None and split.password is None:
        return NOTHING
    user, password = unquote(split.username or ""), unquote(split.password or "")
    if split.password is None and user:
        return Credentials(token=Secret(user))
    if not user or not password:
        raise ValueError("before the @ stands either user:password or a token")
    return Credentials(user=user, password=Secret(password))
