"""Who may do what on the socket, and how much: what may be written, and what it comes to."""

import grp
import os
import pwd
from pathlib import Path

import pytest

from eventd.config.load import load_text
from eventd.config.problems import InvalidConfig
from eventd.config.render import render
from eventd.config.settings import AgentAccess, Config, Rate
from eventd.secret import HASHED, Secret

ME = pwd.getpwuid(os.geteuid())
MY_GROUP = grp.getgrgid(ME.pw_gid)


def load(text: str, source: Path | None = None) -> Config:
    """Load what stands under our node, of one level less."""
    indented = "\n".join(f"    {line}" for line in text.strip().splitlines())
    return load_text(f"gateway:\n  eventStore:\n{indented}\n", source, {})


def problem(text: str, source: Path | None = None) -> str:
    """Return what is wrong."""
    with pytest.raises(InvalidConfig) as raised:
        load(text, source)
    return str(raised.value)


def test_without_a_word_there_are_no_rules_and_no_limits() -> None:
    config = load("{}")
    assert not config.access.has_rules
    assert (config.access.allow_unlisted, config.rates.of("main")) == (False, None)
    assert (config.socket.mode, config.socket.group) == (None, None)


def test_users_and_groups_have_names_or_numbers() -> None:
    """A single one needs no list."""
    config = load(
        f"""
agents:
  alice: {{allowUids: [{ME.pw_name}, 4711], allowGids: {MY_GROUP.gr_name}}}
  bob: {{allowUids: "1000"}}
admin: {{allowUids: {ME.pw_name}, allowGids: [5]}}
socket: {{group: {MY_GROUP.gr_name}, mode: 0660}}
"""
    )
    assert config.access.agents["alice"] == AgentAccess(
        uids=frozenset({ME.pw_uid, 4711}), gids=frozenset({MY_GROUP.gr_gid})
    )
    assert config.access.agents["bob"].uids == {1000}
    assert config.access.admin_uids == {ME.pw_uid}
    assert config.access.admin_gids == {5}
    assert (config.socket.group, config.socket.mode) == (MY_GROUP.gr_gid, 0o660)


@pytest.mark.parametrize(
    ("rules", "has_rules"),
    [
        ("agents: {alice: {token: t}}", True),
        ("agents: {alice: {allowUids: 5}}", True),
        ("agents: {alice: {allowGids: 5}}", True),
        ("admin: {allowUids: 5}", True),
        ("admin: {allowGids: 5}", True),
        ("agents: {alice: {canRead: bob, canWriteAs: bob}}", False),
        ("agents: {alice: {maxEventsPerSecond: 5}}", False),
        ("allowUnlisted: true", False),
        ("admin: {}", False),
    ],
)
def test_what_is_a_rule(rules: str, has_rules: bool) -> None:
    """What has to be proved; what somebody may do then is none."""
    assert load(rules).access.has_rules is has_rules


def test_grants_are_for_others() -> None:
    """Oneself is a mistake that harms nobody; it is told, with its line."""
    config = load("agents:\n  alice:\n    canRead: [bob, alice]\n    canWriteAs: alice\n")
    alice = config.access.agents["alice"]
    assert alice.can_read == {"bob"}
    assert not alice.can_write_as
    assert [warning.partition(" ")[0] for warning in config.warnings] == ["config.yml:5:", "config.yml:6:"]


@pytest.mark.parametrize("mode", ["0600", "600", '"0600"', "0o600"])
def test_permissions_are_octal_however_they_are_written(mode: str) -> None:
    assert load(f"socket: {{mode: {mode}}}").socket.mode == 0o600


def test_a_token_file_may_hold_many(tmp_path: Path) -> None:
    """Plain or hashed, with comments."""
    file = tmp_path / "token"
    file.write_text(f"# since May\none\n{HASHED}{'a' * 64}\n")
    file.chmod(0o600)
    config = load("agents: {alice: {tokenFile: token}}", tmp_path / "config.yml")
    assert config.access.agents["alice"].token == Secret(path=file)
    assert not config.warnings


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("agents:\n  a:\n    allowUids: [no-such-user]", "config.yml:5:", "no such user"),
        ("agents:\n  a:\n    allowGids: [no-such-group]", "config.yml:5:", "no such group"),
        ("agents:\n  a:\n    allowUids: []", "config.yml:5:", "names nobody"),
        ("agents:\n  a:\n    allowUids:", "config.yml:5:", "has no value"),
        ("agents:\n  a:\n    allowUids: -1", "config.yml:5:", "no such user"),
        ("agents:\n  a:\n    allowUids: 4294967295", "config.yml:5:", "at most 4294967294"),
        ("agents:\n  a:\n    allowUids: [[5]]", "config.yml:5:", "but is a list"),
        ("agents:\n  a:\n    canRead: ['*']", "config.yml:5:", "an agent's name"),
        ("agents:\n  a:\n    canRead: [5]", "config.yml:5:", "put it in quotes"),
        ("agents:\n  a:\n    canWriteAs: ['agent:b']", "config.yml:5:", "an agent's name"),
        ("agents:\n  a:\n    token: ''", "config.yml:5:", "is empty"),
        ("agents:\n  a:\n    token: 12345", "config.yml:5:", "put it in quotes"),
        ("agents:\n  a:\n    token: '#t0ken'", "config.yml:5:", "what begins with # is a comment"),
        ("agents:\n  a:\n    token: sha256:t0ken", "config.yml:5:", "64 hexadecimal digits"),
        ("agents:\n  a:\n    token: t\n    tokenFile: f", "config.yml:6:", "keep one of them"),
        ("agents:\n  a:\n    tokenFile: /no/such/t0ken", "config.yml:5:", "cannot read"),
        ("agents:\n  a:\n    maxEventsPerSecond: 0", "config.yml:5:", "at least 0.001"),
        ("agents:\n  a:\n    burst: 5", "config.yml:5:", "add maxEventsPerSecond"),
        ("token: t", "config.yml:3:", "unknown key"),
        ("allowUnlisted: maybe", "config.yml:3:", "true or false"),
        ("socket:\n  mode: 0660x", "config.yml:4:", "permissions like 0660"),
        ("socket:\n  mode: 4660", "config.yml:4:", "permissions like 0660"),
        ("socket:\n  mode: 0060", "config.yml:4:", "the daemon's own user"),
        ("socket:\n  mode: 0460", "config.yml:4:", "the daemon's own user"),
        ("socket:\n  group: no-such-group", "config.yml:4:", "no such group"),
        ("admin:\n  allowUids: []", "config.yml:4:", "names nobody"),
        ("admin:\n  token: t", "config.yml:4:", "unknown key"),
    ],
)
def test_what_is_wrong_is_told_by_its_line(text: str, place: str, told: str) -> None:
    """And without what might be a secret."""
    message = problem(text)
    assert place in message
    assert told in message
    assert "t0ken" not in message.replace("/no/such/t0ken", "")


def test_a_socket_for_others_wants_rules() -> None:
    """Who may open it may do what every agent may, and look after the daemon."""
    (told,) = load("socket: {mode: 0666}").warnings
    assert "everybody on this machine" in told
    assert not load("socket: {mode: 0666}\nagents: {a: {allowUids: 5}}").warnings
    for shared in ("{mode: 0660}", f"{{group: {MY_GROUP.gr_name}}}"):
        (told,) = load(f"socket: {shared}").warnings
        assert "the whole group" in told
        assert not load(f"socket: {shared}\nagents: {{a: {{allowUids: 5}}}}").warnings
    assert not load(f"socket: {{group: {MY_GROUP.gr_name}, mode: 0600}}").warnings


def test_limits_are_inherited_as_a_whole_or_in_part() -> None:
    """An agent's own rate brings its own burst: that of a second."""
    config = load(
        """
maxEventsPerSecond: 100
burst: 500
agents:
  same: {}
  faster: {maxEventsPerSecond: 1000}
  rarely: {maxEventsPerSecond: 0.5}
  more: {burst: 900}
"""
    )
    assert {name: config.rates.of(name) for name in ("other", "same", "faster", "rarely", "more")} == {
        "other": Rate(100, 500),
        "same": Rate(100, 500),
        "faster": Rate(1000, 1000),
        "rarely": Rate(0.5, 1),
        "more": Rate(100, 900),
    }


def test_what_is_shown_means_the_same_when_it_is_loaded(tmp_path: Path) -> None:
    """Of all the rules; tokens stand in files."""
    (tmp_path / "t").write_text("s3cret")
    (tmp_path / "t").chmod(0o600)
    config = load(
        f"""
maxEventsPerSecond: 100
allowUnlisted: true
admin: {{allowUids: [0, 5], allowGids: 7}}
socket: {{mode: 0660, group: 0}}
dataDir: {tmp_path}
agents:
  alice: {{tokenFile: {tmp_path}/t, canRead: [bob, carol], canWriteAs: bob, burst: 7}}
  bob: {{allowUids: [1, 2], allowGids: 3, maxEventsPerSecond: 0.5}}
"""
    )
    again = load_text(render(config), None, {})
    assert (again.access, again.rates, again.socket) == (config.access, config.rates, config.socket)


def test_a_token_is_not_shown() -> None:
    config = load("agents: {alice: {token: s3cret}}")
    assert "s3cret" not in f"{config!r} {render(config)}"
