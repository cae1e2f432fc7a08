"""From a configuration to a login, a stream and subjects for every agent."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventd.config.load import load_text
from eventd.config.settings import Config
from eventd.errors import ConfigError
from eventd.natsconfig.logins import LoginKind
from eventd.natsconfig.plan import Mode, Plan, Tenant, Wish, make_plan
from eventd.nkey import new_seed, public_key

USERS = Wish(mode=Mode.USERS)

DOCUMENT: dict[str, Any] = {
    "url": "nats://main:password@localhost:4222",
    "streamName": "openclaw-events",
    "subjectPrefix": "openclaw.events.main",
    "agents": {
        "assistant-one": {
            "url": "nats://assistant1:pass@localhost:4222",
            "streamName": "events-assistant-one",
            "subjectPrefix": "openclaw.events.assistant-one",
        },
        "assistant-two": {
            "url": "nats://assistant2:pass@localhost:4222",
            "streamName": "events-assistant-two",
            "subjectPrefix": "openclaw.events.assistant-two",
        },
    },
}
"""The document's example of agents that are to be isolated."""


def config_of(source: Path | None = None, **settings: Any) -> Config:
    """Return a configuration with these settings under `gateway.eventStore`."""
    text = msgspec.json.encode({"gateway": {"eventStore": settings}}).decode()
    return load_text(text, source, {})


def plan_of(wish: Wish = Wish(), **settings: Any) -> Plan:  # noqa: B008 - it is frozen
    return make_plan(config_of(**settings), wish)


def tenant(plan: Plan, agent: str) -> Tenant:
    [found] = [tenant for tenant in plan.tenants if tenant.route.name == agent]
    return found


def test_the_documents_example_keeps_its_logins_streams_and_subjects() -> None:
    """So the server's configuration fits that very file."""
    plan = plan_of(**DOCUMENT)
    assert [tenant.login.user for tenant in plan.tenants] == ["main", "assistant1", "assistant2"]
    assert all(tenant.login.kept for tenant in plan.tenants)
    assert [tenant.login.secret.reveal() for tenant in plan.tenants] == ["password", "pass", "pass"]
    assert tenant(plan, "assistant-one").route.stream == "events-assistant-one"
    assert tenant(plan, "assistant-one").subjects == ("openclaw.events.assistant-one.>",)
    assert plan.listen == "127.0.0.1:4222"
    assert plan.notes == ()


def test_without_a_config_file_there_is_one_login() -> None:
    plan = plan_of()
    assert [tenant.name for tenant in plan.tenants] == ["eventd"]
    assert plan.server.urls == ("nats://127.0.0.1:4222",)


@pytest.mark.parametrize("mode", Mode)
def test_an_agent_without_a_stream_of_its_own_gets_one(mode: Mode) -> None:
    """Also its subjects, spelled out, since a stream of its own leaves the others' alone."""
    plan = plan_of(Wish(mode=mode), agents={"a.b": {}, "other": {"streamName": "mine"}})
    assert tenant(plan, "a.b").route.stream == "events-a%2Eb"
    assert tenant(plan, "a.b").route.prefix == "openclaw.events.a%2Eb"
    assert tenant(plan, "other").route.stream == "mine"


def test_streams_of_one_name_in_several_accounts_are_kept() -> None:
    """Each is another stream, and has its agent's history; in one account they would be the same."""
    agents = {
        name: {"user": name, "password": "p", "streamName": "mine", "subjectPrefix": f"oc.{name}"}
        for name in ("a", "b")
    }
    config: dict[str, Any] = {"url": "nats://localhost", "user": "u", "password": "p", "agents": agents}
    plan = plan_of(**config)
    assert [tenant(plan, name).route.stream for name in agents] == ["mine", "mine"]
    assert plan.notes == ()
    plan = plan_of(USERS, **config)
    assert [tenant(plan, name).route.stream for name in agents] == ["events-a", "events-b"]


def test_a_stream_of_that_name_on_another_server_is_another() -> None:
    there = {"url": "nats://elsewhere", "streamName": "mine", "subjectPrefix": "oc.b"}
    agents = {"a": {"streamName": "mine", "subjectPrefix": "oc.a"}, "b": there}
    plan = plan_of(USERS, url="nats://localhost", agents=agents)
    assert tenant(plan, "a").route.stream == "mine"


def test_a_stream_that_is_taken_is_not_given_again() -> None:
    plan = plan_of(agents={"a": {}, "b": {"streamName": "events-a"}})
    assert tenant(plan, "a").route.stream == "events-a-2"


def test_agents_that_share_a_stream_each_get_their_own() -> None:
    plan = plan_of(agents={"a": {"streamName": "both"}, "b": {"streamName": "both"}})
    assert [tenant(plan, name).route.stream for name in "ab"] == ["events-a", "events-b"]
    assert any("both" in note for note in plan.notes)


def test_a_login_that_two_routes_share_is_the_first_ones() -> None:
    """What an agent inherits is the default route's login, which would let it read everything of that."""
    plan = plan_of(url="nats://main:password@localhost", agents={"a": {}})
    assert tenant(plan, "*").login.kept
    assert not tenant(plan, "a").login.kept
    assert tenant(plan, "a").route.server.credentials != tenant(plan, "*").route.server.credentials


def test_an_nkey_is_kept_and_the_server_learns_its_public_half() -> None:
    seed = new_seed()
    login = tenant(plan_of(url="nats://localhost", nkeySeed=seed), "*").login
    assert (login.kept, login.public) == (True, public_key(seed))


def test_a_token_is_replaced_and_that_is_said() -> None:
    plan = plan_of(url="nats://s3cret@localhost")
    assert not tenant(plan, "*").login.kept
    assert any("token" in note for note in plan.notes)
    assert "s3cret" not in repr(plan)


def test_a_jwt_cannot_stand_in_a_servers_configuration(tmp_path: Path) -> None:
    creds = tmp_path / "a.creds"
    creds.write_text("…")
    creds.chmod(0o600)
    with pytest.raises(ConfigError, match="operator mode"):
        plan_of(url="nats://localhost", credsFile=str(creds))


def test_an_nkey_that_is_none_is_named_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="nkeySeed of eventd") as caught:
        plan_of(url="nats://localhost", nkeySeed="SUhunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("kind", LoginKind)
def test_new_logins_are_of_the_wanted_kind_and_all_different(kind: LoginKind) -> None:
    plan = plan_of(Wish(mode=Mode.USERS, kind=kind), agents={"eventd": {}, "admin": {}, "eventd-admin": {}})
    assert plan.administrator is not None
    logins = [*(tenant.login for tenant in plan.tenants), plan.administrator.login]
    assert len({login.public for login in logins}) == len(logins)
    assert len({login.secret.reveal() for login in logins}) == len(logins)
    assert {login.user is None for login in logins} == {kind is LoginKind.NKEY}


def test_a_user_who_is_called_like_the_administrator_is_refused() -> None:
    with pytest.raises(ConfigError, match="eventd-admin"):
        plan_of(Wish(Mode.USERS, LoginKind.PASSWORD), url="nats://eventd-admin:x@localhost")


def test_in_accounts_the_default_stream_takes_everything() -> None:
    assert tenant(plan_of(agents={"a": {}}), "*").subjects == ("openclaw.events.>",)


def test_in_one_account_the_default_stream_lists_its_agents() -> None:
    """JetStream takes no two streams with the same subjects."""
    plan = plan_of(Wish(mode=Mode.USERS, agents=("tim", "main")), agents={"a": {}})
    assert tenant(plan, "*").subjects == ("openclaw.events.main.>", "openclaw.events.tim.>")


def test_where_nobody_lives_below_its_prefix_the_default_stream_takes_everything() -> None:
    plan = plan_of(USERS, **DOCUMENT)
    assert tenant(plan, "*").subjects == ("openclaw.events.main.>",)


def test_an_agent_that_is_listed_has_no_entry() -> None:
    with pytest.raises(ConfigError, match="the agent a has an entry"):
        plan_of(Wish(mode=Mode.USERS, agents=("a",)), agents={"a": {}})


def test_subjects_that_overlap_are_refused_in_one_account_only() -> None:
    agents = {"a": {"subjectPrefix": "x.a"}, "b": {"subjectPrefix": "x.a"}}
    assert len(plan_of(agents=agents).tenants) == 3
    with pytest.raises(ConfigError, match="overlap"):
        plan_of(USERS, agents=agents)


def test_only_one_account_has_permissions_and_they_name_one_stream() -> None:
    assert tenant(plan_of(agents={"a": {}}), "a").permissions is None
    permissions = tenant(plan_of(USERS, agents={"a": {}}), "a").permissions
    assert permissions is not None
    assert permissions.subscribe == ("_INBOX.eventd_a.>", "openclaw.events.a.>")
    assert all("events-a" in subject or "events.a." in subject for subject in permissions.publish)


def test_snapshots_of_its_own_stream_are_granted_where_that_is_wished() -> None:
    """And nothing that restores one: a stream's configuration comes with it, which may name other streams."""
    plain = tenant(plan_of(USERS, agents={"a": {}}), "a").permissions
    wish = Wish(mode=Mode.USERS, snapshots=True)
    permissions = tenant(plan_of(wish, agents={"a": {}}), "a").permissions
    assert plain is not None
    assert permissions is not None
    more = set(permissions.publish) - set(plain.publish)
    assert more == {"$JS.API.STREAM.SNAPSHOT.events-a", "$JS.SNAPSHOT.ACK.events-a.>"}
    assert permissions.subscribe == plain.subscribe
    assert tenant(plan_of(Wish(snapshots=True), agents={"a": {}}), "a").permissions is None


def test_an_agent_on_another_server_is_left_out_and_named() -> None:
    far = {"url": "nats://elsewhere:4222", "streamName": "far"}
    plan = plan_of(url="nats://localhost", agents={"far": far})
    assert len(plan.tenants) == 1
    assert any("the agent far" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("url", "wanted", "listen", "told"),
    [
        ("nats://localhost:4300", None, "127.0.0.1:4300", False),
        ("nats://[::1]:4300", None, "[::1]:4300", False),
        ("nats://broker.example:4300", None, "127.0.0.1:4222", True),
        ("nats://broker.example:4300", "0.0.0.0:4300", "0.0.0.0:4300", False),
    ],
)
def test_the_server_listens_where_clients_look(url: str, wanted: str | None, listen: str, told: bool) -> None:
    plan = plan_of(Wish(listen=wanted), url=url)
    assert (plan.listen, bool(plan.notes)) == (listen, told)
    assert plan.server.urls == (url,), "which stays what config.yml has"


def test_where_a_server_listens_on_all_addresses_clients_are_told_one_of_them() -> None:
    assert plan_of(Wish(listen="0.0.0.0:4300")).server.urls == ("nats://127.0.0.1:4300",)
