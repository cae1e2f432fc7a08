"""The nats-server's configuration file as text."""

import json
from collections.abc import Iterable, Iterator

from ..routes import DEFAULT_ROUTE
from .logins import Login
from .permissions import Permissions
from .plan import Administrator, Mode, Plan, Tenant

MAX_PAYLOAD = 8 * 2**20  # bytes; as the embedded server has it, and the socket's largest frame
STORE = "nats-data"  # relative to the folder that nats-server is started in
SHARED_ACCOUNT = "eventd"

_HEAD = {
    Mode.ACCOUNTS: """\
# nats-server configuration for eventd: an account for each agent. Made by `eventd nats-config`.
#
# Accounts are apart: no subject, stream or request of one means anything in another. So a login can read and
# write, change and delete its own streams, and cannot even name those of others.
""",
    Mode.USERS: """\
# nats-server configuration for eventd: one account for all. Made by `eventd nats-config --mode users`.
#
# Each login may publish its own events and ask about its own stream, nothing else. It has no $JS.API.>, with
# which it could read every stream, and no STREAM.CREATE or STREAM.UPDATE, whose body may name another's
# stream as a source. The administrator makes the streams, once and after each change of agents:
#
#   eventd nats-config --mode users --make-streams --admin FILE
#
# One account cannot stop everything. The server checks where a login publishes to, not where it wants the
# answer: a reply subject among another agent's subjects makes the server store the answer in that agent's
# stream, and likewise a message of the own stream that a consumer delivers there (seen on nats-server 2.15).
# So anybody here can add to another's stream, and with it use up its disk and, by a message id known
# beforehand, let an event of that id pass for a repetition. Nobody can read, change or delete there. Every
# message of eventd names its stream, which such an intruder cannot; sharedAccount: true in config.yml makes
# the index believe no other. Where that is not enough, use --mode accounts.
""",
}


def server_text(plan: Plan, store: str = STORE) -> str:
    """Return the whole file.

    Args:
        plan: Whom it is for.
        store: Folder of the streams.

    Raises:
        ConfigError: A secret cannot be read, or not be hashed.
    """
    lines = [*_server(plan, store), "", "accounts {"]
    lines += _own_accounts(plan.tenants) if plan.mode is Mode.ACCOUNTS else _one_account(plan)
    return _HEAD[plan.mode] + "".join(f"{line}\n" for line in [*lines, "}"])


def quoted(text: str) -> str:
    """Return a text as a string of the file's language, which neither ends early nor names a variable."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return f"\\x{ord(character):02x}" if ord(character) < 0x20 else character


def _server(plan: Plan, store: str) -> Iterator[str]:
    yield ""
    yield f"listen: {quoted(plan.listen)}"
    yield f"max_payload: {MAX_PAYLOAD}  # bytes; the largest event"
    if plan.tls:
        yield "# config.yml says tls: add a block like `tls { cert_file: …, key_file: … }` here."
    yield ""
    yield "jetstream {"
    yield f"  store_dir: {quoted(store)}"
    if plan.js_domain:
        yield f"  domain: {quoted(plan.js_domain)}"
    yield "  # Then what is acknowledged is on the disk. The server's default writes it there up to two"
    yield "  # minutes later, and a power cut takes what was acknowledged meanwhile. eventd publishes in"
    yield "  # batches, so this costs one fsync for many events."
    yield "  sync_interval: always"
    yield "}"


def _own_accounts(tenants: Iterable[Tenant]) -> Iterator[str]:
    for tenant in tenants:
        yield f"  # {_about(tenant)}"
        yield f"  {quoted(tenant.name)}: {{"
        yield "    jetstream: enabled"
        yield f"    users: [ {{ {_login(tenant.login)} }} ]"
        yield "  }"


def _one_account(plan: Plan) -> Iterator[str]:
    yield f"  {quoted(SHARED_ACCOUNT)}: {{"
    yield "    jetstream: enabled"
    yield "    users: ["
    if plan.administrator is not None:
        yield "      # Makes the streams; nothing that runs needs it."
        yield from _user(plan.administrator)
    for tenant in plan.tenants:
        yield f"      # {_about(tenant)}"
        if tenant.route.name == DEFAULT_ROUTE and len(plan.tenants) > 1:
            yield "      # Where streams of others lie below its prefix, it lists agents: --agent adds one."
        yield from _user(tenant)
    yield "    ]"
    yield "  }"


def _user(owner: Tenant | Administrator) -> Iterator[str]:
    permissions = owner.permissions or Permissions((), ())
    yield f"      {{ {_login(owner.login)}, permissions: {{"
    yield f"        publish: {_list(permissions.publish)}"
    yield f"        subscribe: {_list(permissions.subscribe)}"
    yield "      } }"


def _login(login: Login) -> str:
    if login.user is None:
        return f"nkey: {quoted(login.public)}"
    return f"user: {quoted(login.user)}, password: {quoted(login.password_hash())}"


def _list(subjects: Iterable[str]) -> str:
    lines = "".join(f"          {quoted(subject)}\n" for subject in subjects)
    return f"[\n{lines}        ]"


def _about(tenant: Tenant) -> str:
    """Return a comment; the name is escaped, so that none can end its line."""
    who = (
        "Everybody without an entry under agents:"
        if tenant.route.name == DEFAULT_ROUTE
        else f"The agent {json.dumps(tenant.route.name)}"
    )
    return f"{who}; stream {json.dumps(tenant.route.stream)}."
