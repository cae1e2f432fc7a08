"""The keys under `gateway.eventStore`, with their types and bounds. What is not set is None.

Defaults are not here but in `settings` and `eventd.routes`, and what agents inherit is in `resolve`: this
module only says what may be written. Secrets are `Secret` from the moment they are read, so that a section
can be printed.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from eventd_ipc.messages import MAX_EVENTS

from ..secret import Secret
from .settings import LogFormat, LogLevel

KIB, MIB = 2**10, 2**20

MIN_OUTBOX = MIB  # below this SQLite's own pages are most of the file
MIN_INDEX = 16 * MIB  # below this its own tables are most of the file
MIN_BUDGET = 100  # characters; less holds no sentence
MAX_CONTEXT_EVENTS = 20_000  # they are looked at one by one, each time a session begins
MAX_RECALLED = 100
MAX_PAYLOAD = 64 * MIB  # nats-server refuses more
MAX_FRAME = 256 * MIB  # a frame is held in memory, once per connection that sends one
MIN_RATE = 0.001  # events a second; a limit of nothing at all is `enabled: false`
JETSTREAM_MOMENT = 0.1  # seconds; JetStream takes no shorter age or window

Duration = Annotated[float, Meta(extra={"unit": "duration"})]
Size = Annotated[int, Meta(extra={"unit": "size"})]
User = Annotated[int, Meta(extra={"unit": "user"})]
Group = Annotated[int, Meta(extra={"unit": "group"})]
Mode = Annotated[int, Meta(extra={"unit": "mode"})]
Agent = Annotated[str, Meta(extra={"unit": "agent"})]


class Section(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A mapping in the file: camelCase keys, no others."""


class TlsSection(Section, frozen=True):
    """How the server is known, and the client certificate. Paths are relative to the config file."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None


class PlacementSection(Section, frozen=True):
    """On which servers of a cluster a stream lies."""

    cluster: str | None = None
    tags: list[str] | None = None


class StreamSection(Section, frozen=True):
    """How eventd makes a stream."""

    max_age: Duration | None = None
    max_bytes: Size | None = None
    replicas: Annotated[int, Meta(ge=1, le=5)] | None = None
    placement: PlacementSection | None = None
    duplicate_window: Annotated[Duration, Meta(ge=JETSTREAM_MOMENT)] | None = None


class ContextSection(Section, frozen=True):
    """The block that goes into an agent's system prompt."""

    budget: Annotated[int, Meta(ge=MIN_BUDGET)] | None = None
    look_back: Duration | None = None
    earlier: Duration | None = None
    max_events: Annotated[int, Meta(ge=1, le=MAX_CONTEXT_EVENTS)] | None = None
    tools: bool | None = None
    max_messages: Annotated[int, Meta(ge=0)] | None = None
    max_topics: Annotated[int, Meta(ge=0)] | None = None
    max_facts: Annotated[int, Meta(ge=0)] | None = None
    max_notes: Annotated[int, Meta(ge=0)] | None = None
    max_recalled: Annotated[int, Meta(ge=0, le=MAX_RECALLED)] | None = None
    max_pending: Annotated[int, Meta(ge=0)] | None = None


class RouteSection(Section, frozen=True):
    """Where events go. The same keys for all agents together and for one agent."""

    enabled: bool | None = None
    url: Secret | None = None
    nats_url: Secret | None = None
    stream_name: str | None = None
    subject_prefix: str | None = None
    user: str | None = None
    password: Secret | None = None
    password_file: Path | None = None
    nats_token: Secret | None = None
    nats_token_file: Path | None = None
    creds_file: Path | None = None
    nkey_seed: Secret | None = None
    nkey_seed_file: Path | None = None
    tls: TlsSection | None = None
    js_domain: str | None = None
    shared_account: bool | None = None
    manage_stream: bool | None = None
    stream: StreamSection | None = None
    context: ContextSection | None = None
    max_events_per_second: Annotated[float, Meta(ge=MIN_RATE)] | None = None
    burst: Annotated[int, Meta(ge=1)] | None = None


class AgentSection(RouteSection, frozen=True):
    """An agent's entry: where its events go, who may speak as it, and what it may."""

    token: Secret | None = None
    token_file: Path | None = None
    allow_uids: list[User] | None = None
    allow_gids: list[Group] | None = None
    can_read: list[Agent] | None = None
    can_write_as: list[Agent] | None = None


class AdminSection(Section, frozen=True):
    """Who looks after eventd without the administrator's token."""

    allow_uids: list[User] | None = None
    allow_gids: list[Group] | None = None


class OutboxSection(Section, frozen=True):
    """The buffer on disk between agents and NATS."""

    max_bytes: Annotated[Size, Meta(ge=MIN_OUTBOX)] | None = None
    retain: Duration | None = None
    retain_bytes: Size | None = None
    ledger_age: Duration | None = None
    ledger_ids: Annotated[int, Meta(ge=0)] | None = None
    min_free: Size | None = None


class IndexSection(Section, frozen=True):
    """What can be read quickly."""

    max_age: Duration | None = None
    max_bytes: Annotated[Size, Meta(ge=MIN_INDEX)] | None = None


class EmbeddedSection(Section, frozen=True):
    """The nats-server that eventd runs itself."""

    server_path: Path | None = None
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    store_dir: Path | None = None
    max_payload: Annotated[Size, Meta(ge=KIB, le=MAX_PAYLOAD)] | None = None


class SocketSection(Section, frozen=True):
    """The Unix socket that agents write to, and what one agent may ask of it."""

    path: Path | None = None
    mode: Mode | None = None
    group: Group | None = None
    max_connections: Annotated[int, Meta(ge=1)] | None = None
    max_frame: Annotated[Size, Meta(ge=KIB, le=MAX_FRAME)] | None = None
    max_events: Annotated[int, Meta(ge=1, le=MAX_EVENTS)] | None = None
    max_in_flight: Annotated[Size, Meta(ge=KIB)] | None = None
    hello_timeout: Annotated[Duration, Meta(ge=0.001)] | None = None


class LogSection(Section, frozen=True):
    """What is logged, and how it looks."""

    level: LogLevel | None = None
    format: LogFormat | None = None


class MetricsSection(Section, frozen=True):
    """Where Prometheus fetches the metrics."""

    listen: str | None = None


class EventStore(RouteSection, frozen=True):
    """The node itself."""

    agents: dict[str, AgentSection] | None = None
    allow_unlisted: bool | None = None
    admin: AdminSection | None = None
    outbox: OutboxSection | None = None
    index: IndexSection | None = None
    embedded: EmbeddedSection | None = None
    socket: SocketSection | None = None
    data_dir: Path | None = None
    shutdown_timeout: Duration | None = None
    log: LogSection | None = None
    metrics: MetricsSection | None = None
