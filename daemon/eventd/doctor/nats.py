"""One route's NATS: reached with the route's own credentials, and asked about its stream."""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from ..config.settings import Config
from ..embedded.binary import find_binary
from ..embedded.store import StoreFolder
from ..errors import ConfigError, EmbeddedServerError, NatsError
from ..jetstream.deleting import DeletionDenied, check_erasing
from ..jetstream.permissions import PermissionMissing
from ..jetstream.reading import open_reader
from ..jetstream.session import ApiError, NoResponders, RequestTimeout, Session, open_session
from ..jetstream.stream import matches
from ..jetstream.streams import STREAM_NOT_FOUND, stream_info
from ..routes import Route
from .clock import clock_finding, now_ms, skew_of
from .durability import embedded_sync, foreign_sync
from .endpoints import dial, endpoint_of
from .model import Finding, Findings, Level, unmade
from .overlap import others_of, overlap_findings
from .repairs import Repairs
from .streams import NEARLY_FULL, Seen, base_of, examine_stream, label, servers_of
from .visit import Visit

NOT_ENABLED = (10039, 10076)  # JetStream is off for the account, or for the server
API_TIMEOUT = 5.0  # seconds for an answer of the JetStream API
GETTING_READY = 10.0  # seconds that a route may take to be ready

IS_IT_THERE = "is nats-server running there? `nats server ping`; and is url what it listens on?"
JETSTREAM_ON = (
    "start nats-server with `-js -sd FOLDER`; with accounts: `jetstream: enabled` in that of the route"
)


@dataclass(slots=True)
class Examined:
    """What came of looking at a route.

    Attributes:
        reached: Whether its server let us in.
        stream: Its stream as it was found; None where it is missing or could not be looked at.
        missing: Whether it is known that the stream is not there.
        looked: Whether everything could be looked at.
    """

    route: Route
    findings: Findings = field(default_factory=list)
    reached: bool = False
    stream: Seen | None = None
    missing: bool = False
    looked: bool = False

    def takes(self, subject: str) -> bool | None:
        """Whether an event with this subject will be stored; None where that is not known."""
        if self.stream is not None:
            return self.stream.changeable or any(matches(taken, subject) for taken in self.stream.subjects)
        return True if self.missing else None


async def examine_route(config: Config, route: Route, visited: Visit, timeout: float) -> Examined:
    """Look at a route, for `timeout` seconds at the most."""
    examined = Examined(route)
    name = label(route)
    check, title = "nats.connection", "connection"
    findings = examined.findings
    try:
        with anyio.fail_after(timeout):
            endpoint = await endpoint_of(config, route, visited)
            away = {url: why for url, why in (await dial(endpoint.urls)).items() if why}
            there = tuple(url for url in endpoint.urls if url not in away)
            findings += _away(away, name, all_of_them=not there)
            if there:
                async with open_session(replace(endpoint, urls=there), route.name) as session:
                    examined.reached = True
                    await _look(session, config, examined, visited, timeout)
                    examined.looked = True
    except TimeoutError:
        where = (
            "answers only partly" if examined.reached else f"{', '.join(route.server.urls)} does not answer"
        )
        remedy = "is the server frozen, or the way there? `nats server ping`"
        findings.append(
            Finding(check, Level.PROBLEM, title, f"{where}, within {timeout:g} s", remedy, route=name)
        )
    except ConfigError as error:
        findings.append(unmade(check, title, str(error), error.hint, route=name))
        if route.server.embedded and visited.welcome is None:
            findings.append(await _binary(config, name))
    except PermissionMissing as error:
        findings.append(
            Finding("nats.permissions", Level.PROBLEM, "permissions", str(error), error.hint, route=name)
        )
    except RequestTimeout as error:
        text = f"{error}: it is overloaded, or its cluster has no leader"
        remedy = "most servers of a cluster have to run: `nats server report jetstream`"
        findings.append(Finding("nats.jetstream", Level.PROBLEM, "JetStream", text, remedy, route=name))
    except NatsError as error:
        level = Level.WARNING if examined.reached else Level.PROBLEM
        findings.append(Finding(check, level, title, str(error), _way_in(error), route=name))
    if route.server.embedded and visited.welcome is not None:
        store = StoreFolder(config.embedded_store)
        findings.append(await anyio.to_thread.run_sync(embedded_sync, store.config, name))
    elif examined.reached and not route.server.embedded:
        findings.append(foreign_sync(config.outbox, name))
    told = visited.routes().get(name)
    if told is not None:
        findings += _told(told, examined)
    return examined


def _away(away: Mapping[str, str], name: str, *, all_of_them: bool) -> Findings:
    """Say which servers take no connection at all."""
    if not away:
        return []
    text = "; ".join(f"{url}: {why}" for url, why in away.items())
    check, level = ("nats.connection", Level.PROBLEM) if all_of_them else ("nats.servers", Level.WARNING)
    return [Finding(check, level, "connection", text, IS_IT_THERE, route=name)]


async def _look(session: Session, config: Config, examined: Examined, visited: Visit, timeout: float) -> None:
    """Ask the server everything, from the connection to the newest message; stops at the first dead end."""
    route, findings = examined.route, examined.findings
    name = label(route)
    rtt = await session.probe()
    version = ".".join(map(str, session.server_version))
    text = f"{session.url} · nats-server {version} · {_login(session, route)} · {rtt * 1000:.1f} ms"
    findings.append(Finding("nats.connection", Level.OK, "connection", text, route=name))
    findings += _plain(session, route)
    if not await _jetstream(session, route, findings):
        return
    sent = time.time()
    try:
        info: Mapping[str, Any] = await stream_info(session, route.stream)
    except ApiError as error:
        if error.err_code != STREAM_NOT_FOUND:
            raise
        examined.missing = True
    except NoResponders:
        findings.append(
            Finding(
                "nats.jetstream",
                Level.PROBLEM,
                "JetStream",
                "it is off, or has no leader",
                JETSTREAM_ON,
                route=name,
            )
        )
        return
    received = time.time()
    servers = servers_of(session.server_info)
    if not examined.missing:
        examined.stream = Seen(route, info, session.server_version, servers)
        findings += examine_stream(examined.stream)
        findings.append(clock_finding(skew_of(info, sent, received), name))
        findings.append(await _newest(session, examined.stream))
        findings += await _forgetting(session, examined.stream)
        if any(matches(taken, f"{base_of(route)}.>") for taken in examined.stream.subjects):
            return  # whoever takes all shares with nobody
    overlap = await others_of(session, config.routes, route, servers)
    findings += overlap_findings(overlap, Repairs(config, route, visited, timeout), missing=examined.missing)


async def _forgetting(session: Session, seen: Seen) -> Findings:
    """Say where events cannot be forgotten; whoever never wants that misses nothing."""
    try:
        await check_erasing(session, seen.name)
    except (PermissionMissing, DeletionDenied) as error:
        text = f"not possible here: {error}"
        check, title = "stream.forget", "forgetting"
        return [Finding(check, Level.NOTE, title, text, error.hint, route=label(seen.route))]
    return []


def _login(session: Session, route: Route) -> str:
    login = route.server.credentials
    if route.server.embedded or login.nkey_seed is not None:
        return "logged in by nkey"
    if login.user is not None:
        return f"logged in as {login.user}"
    if login.token is not None:
        return "logged in by token"
    if login.creds_file is not None:
        return f"logged in by {login.creds_file.name}"
    return "without a login"


def _plain(session: Session, route: Route) -> Findings:
    """Say where a password goes over the network for everybody to read."""
    login = route.server.credentials
    host = urlsplit(session.url).hostname or ""
    secret = login.password or login.token
    encrypted = session.url.startswith("tls:") or session.server_info.get("tls_required")
    if secret is None or encrypted or is_loopback(host):
        return []
    return [
        Finding(
            "nats.encryption", Level.WARNING, "encryption",
            f"the password, and all events, go to {host} for everybody on the way to read",
            "let the server have TLS and write tls:// in the url, or reach it through a tunnel",
            route=label(route),
        )
    ]  # fmt: skip


def is_loopback(host: str) -> bool:
    """Whether what goes there stays on this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _jetstream(session: Session, route: Route, findings: Findings) -> bool:
    """Say whether JetStream answers, and how much room the account has; return whether to go on."""
    check, title, name = "nats.jetstream", "JetStream", label(route)
    if route.shared_account:
        return True  # such a login may only ask about its own stream, and does so next
    try:
        account = await session.api("INFO", timeout=API_TIMEOUT)
    except PermissionMissing:
        return True  # the daemon does not need this one
    except NoResponders:
        findings.append(
            Finding(check, Level.PROBLEM, title, "it is off: nothing can be stored", JETSTREAM_ON, route=name)
        )
        return False
    except ApiError as error:
        if error.err_code not in NOT_ENABLED:
            raise
        text = f"it is off for this account: {error.description}"
        findings.append(Finding(check, Level.PROBLEM, title, text, JETSTREAM_ON, route=name))
        return False
    limits = account.get("limits") or {}
    limit, taken = int(limits.get("max_storage") or -1), int(account.get("storage") or 0)
    if limit > 0 and taken * 100 >= limit * NEARLY_FULL:
        text = f"{taken * 100 // limit} % of the account's {limit:,} bytes are taken; then nothing is stored"
        remedy = "let old events go (stream.maxAge, stream.maxBytes), or have the account's limit raised"
        findings.append(Finding(check, Level.WARNING, title, text, remedy, route=name))
    else:
        streams = int(account.get("streams") or 0)
        text = f"on · {streams} stream{'' if streams == 1 else 's'} in the account"
        findings.append(Finding(check, Level.OK, title, text, route=name))
    return True


async def _newest(session: Session, seen: Seen) -> Finding:
    """Read the newest message in the way in which the daemon reads streams: a login may lack that right."""
    check, title, name = "stream.readable", "reading", label(seen.route)
    last = int(seen.info["state"]["last_seq"])
    if not int(seen.info["state"]["messages"]):
        return Finding(check, Level.NOTE, title, "the stream holds no event yet", route=name)
    try:
        async with open_reader(session, seen.name, start_seq=last, headers_only=True) as reader:
            messages = await reader.page(1)
    except PermissionMissing as error:
        return Finding(
            check, Level.PROBLEM, title, f"{error}: others' events reach neither queries nor context",
            error.hint, route=name,
        )  # fmt: skip
    if not messages:
        return Finding(check, Level.OK, title, "allowed", route=name)
    ago = max(0, now_ms() - messages[0].time) // 1000
    text = f"allowed · newest message {messages[0].seq:,}, stored {ago:,} s ago"
    return Finding(check, Level.OK, title, text, route=name)


async def _binary(config: Config, name: str) -> Finding:
    check, title = "nats.binary", "nats-server"
    try:
        binary = await anyio.to_thread.run_sync(find_binary, config.embedded.server_path)
    except EmbeddedServerError as error:
        return Finding(check, Level.PROBLEM, title, str(error), error.hint, route=name)
    text = f"{'.'.join(map(str, binary.version))}, from {binary.origin}: {binary.path}"
    return Finding(check, Level.OK, title, text, route=name)


def _way_in(error: NatsError) -> str:
    """Return what to do where a server did not let us in."""
    text = str(error).lower()
    if "authorization" in text or "authentication" in text:
        return "the credentials are not the server's: compare those of the route with the server's users"
    if isinstance(error.__cause__, ssl.SSLError) or "certificate" in text or "tls" in text:
        return "compare the tls section of the route, and its url, with the server's tls section"
    return IS_IT_THERE


def _told(told: Mapping[str, Any], examined: Examined) -> Findings:
    """Return what the daemon says of the route."""
    check, title, name = "nats.daemon", "daemon", label(examined.route)
    state, reason = str(told.get("state", "")), str(told.get("reason") or told.get("last_error") or "")
    findings: Findings = []
    if told.get("full"):
        text = "the route's room in the outbox is full: its new events are refused"
        findings.append(
            Finding(check, Level.PROBLEM, title, text, "see the route's trouble here", route=name)
        )
    if state == "stalled":
        findings.append(
            Finding(check, Level.PROBLEM, title, f"it ships nothing: {reason}", _hint(told), route=name)
        )
    elif not told.get("connected") or state in ("connecting", "preparing"):
        findings.append(_unready(told, reason, examined))
    else:
        text = " · ".join(filter(None, (state, told.get("mode"), f"{told.get('shipped') or 0:,} shipped")))
        findings.append(Finding(check, Level.OK, title, text, route=name))
    if lost := told.get("lost_by_server"):
        text = f"the server lost up to {lost} messages that it had acknowledged, from before what is retained"
        remedy = "let the server sync always (sync_interval), or raise outbox.retain"
        findings.append(Finding(check, Level.PROBLEM, title, text, remedy, route=name))
    if repairs := told.get("repairs"):
        text = f"the server had lost what it had acknowledged; eventd repaired it (times: {repairs})"
        findings.append(Finding(check, Level.NOTE, title, text, route=name))
    if not examined.looked:  # else we have seen ourselves what these say
        findings += [
            Finding(check, Level.NOTE, title, str(note), route=name) for note in told.get("notes") or ()
        ]
    return findings


def _unready(told: Mapping[str, Any], reason: str, examined: Examined) -> Finding:
    check, title, name = "nats.daemon", "daemon", label(examined.route)
    unready = float(told.get("unready_s") or 0.0)
    text = f"it has no connection: {reason or told.get('state')}"
    if not examined.reached:
        return Finding(check, Level.NOTE, title, f"{text}; nor have we", route=name)
    if unready < GETTING_READY:
        return Finding(
            check, Level.NOTE, title, f"it is getting ready: {reason or told.get('state')}", route=name
        )
    remedy = (
        "we have one: compare user, environment and firewall of the daemon's process with ours, or restart it"
    )
    return Finding(check, Level.PROBLEM, title, text, remedy, route=name)


def _hint(told: Mapping[str, Any]) -> str:
    if told.get("denied"):
        return "grant what is missing; `eventd nats-config` prints a configuration with all that is needed"
    return "it goes on by itself once that is mended; what waits is safe on disk"
