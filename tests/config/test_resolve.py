"""What agents inherit, how people log in, and what contradicts itself."""

from pathlib import Path

import pytest

from eventd.config.load import load_text
from eventd.config.problems import InvalidConfig
from eventd.config.settings import Config
from eventd.routes import Placement, Route
from eventd.secret import Secret

OUTER = """
    url: nats://a:4222,nats://b:4222
    user: outer
    password: secret
    jsDomain: hub
    tls: {caFile: ca.pem, serverName: name}
    streamName: outer
    subjectPrefix: p.outer
    manageStream: true
    stream: {maxAge: 10d, replicas: 3}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ca.pem", "cert.pem", "key.pem", "password", "token", "seed", "x.creds"):
        path = tmp_path / name
        path.write_text("content\n")
        path.chmod(0o600)
    return tmp_path


def load(folder: Path, outer: str, agent: str | None = None) -> Config:
    text = f"gateway:\n  eventStore:\n    {outer.strip()}\n"
    if agent is not None:
        text += f"    agents:\n      bob: {agent}\n"
    return load_text(text, folder / "config.yml", {})


def bob(folder: Path, agent: str, outer: str = OUTER) -> Route:
    return load(folder, outer, agent).routes.by_agent["bob"]


def problem(folder: Path, outer: str, agent: str | None = None) -> str:
    with pytest.raises(InvalidConfig) as caught:
        load(folder, outer, agent)
    return str(caught.value).replace(f"{folder}/", "").replace("gateway.eventStore", "*")


@pytest.mark.parametrize("entry", ["", "{}"])
def test_an_entry_without_settings_inherits_everything(folder: Path, entry: str) -> None:
    """Its route still is its own: own connection, own order."""
    config = load(folder, OUTER, entry)
    route, default = config.routes.by_agent["bob"], config.routes.default
    assert route.name == "bob"
    assert (route.server, route.stream, route.prefix) == (default.server, "outer", "p.outer")
    assert (route.settings, route.enabled) == (default.settings, True)


INHERITANCE = {
    # entry: (user, has TLS, domain) as the entry comes to have them
    "{streamName: s}": ("outer", True, "hub"),
    "{url: 'nats://a:4222'}": ("outer", True, "hub"),
    "{url: 'nats://b,nats://a'}": ("outer", True, "hub"),
    "{url: 'nats://u:p@a:4222'}": ("u", True, "hub"),
    "{user: u, password: p}": ("u", True, "hub"),
    "{natsUrl: 'nats://c'}": (None, False, None),
    "{url: 'nats://a,nats://c'}": (None, False, None),
    "{url: 'tls://a:4222'}": (None, False, None),
    "{url: 'nats://a:4223'}": (None, False, None),
    "{url: 'nats://u:p@c'}": ("u", False, None),
    "{url: 'nats://c', jsDomain: own, tls: {serverName: x}}": (None, True, "own"),
    "{jsDomain: own}": ("outer", True, "own"),
    "{url: embedded}": (None, False, None),
}


@pytest.mark.parametrize(("entry", "wanted"), INHERITANCE.items(), ids=INHERITANCE)
def test_what_belongs_to_a_server_is_inherited_only_with_the_server(
    folder: Path, entry: str, wanted: tuple[str | None, bool, str | None]
) -> None:
    """A password never goes to a server that it was not written for."""
    server = bob(folder, entry).server
    assert (server.credentials.user, server.tls is not None, server.js_domain) == wanted
    assert (server.credentials.password is None) == (server.credentials.user is None)


def test_credentials_are_inherited_as_a_whole_or_not_at_all(folder: Path) -> None:
    """A token beside the outer user would be two ways to log in."""
    credentials = bob(folder, "{natsToken: t}").server.credentials
    assert (credentials.user, credentials.password, credentials.token) == (None, None, Secret("t"))
    assert "bob.password: has no user beside it" in problem(folder, OUTER, "{password: p}")


def test_tls_and_stream_settings_are_inherited_key_by_key(folder: Path) -> None:
    """A client certificate of an agent needs the same authority as before."""
    route = bob(folder, "{tls: {certFile: cert.pem, keyFile: key.pem}, streamName: s, stream: {replicas: 1}}")
    tls, settings = route.server.tls, route.settings
    assert tls is not None
    assert (tls.ca_file, tls.cert_file, tls.server_name) == (folder / "ca.pem", folder / "cert.pem", "name")
    assert (settings.max_age, settings.replicas, settings.manage) == (10 * 86400, 1, True)


def test_the_placement_of_a_stream_is_inherited_as_a_whole(folder: Path) -> None:
    """Tags of one cluster say nothing in another; an empty one takes the outer one away."""
    outer = "url: nats://a:4222\n    stream: {replicas: 3, placement: {cluster: c, tags: [x, '!y']}}"
    assert load(folder, outer).routes.default.settings.placement == Placement("c", ("x", "!y"))
    assert bob(folder, "", outer).settings.placement == Placement("c", ("x", "!y"))
    entry = "{streamName: s, stream: {placement: %s}}"
    assert bob(folder, entry % "{tags: z}", outer).settings.placement == Placement(tags=("z",))
    assert bob(folder, entry % "{}", outer).settings.placement is None


def test_the_embedded_server_does_not_inherit_what_only_a_cluster_has(folder: Path) -> None:
    """It would never ship; written for it, it is a mistake."""
    outer = "url: nats://a:4222\n    stream: {replicas: 3, placement: {cluster: c}}"
    settings = bob(folder, "{url: embedded}", outer).settings
    assert (settings.replicas, settings.placement) == (1, None)
    assert "bob.stream.replicas: the embedded server" in problem(
        folder, outer, "{url: embedded, stream: {replicas: 3}}"
    )


def test_two_replicas_are_warned_of(folder: Path) -> None:
    """They look safer than one and stop more often."""
    (warning,) = load(folder, "url: nats://a:4222\n    stream: {replicas: 2}").warnings
    assert "stream.replicas: two replicas are both needed" in warning
    assert not load(folder, "url: nats://a:4222\n    stream: {replicas: 3}").warnings


@pytest.mark.parametrize(("outer", "entry", "wanted"), [
    ("enabled: false", "", (False, False)),
    ("enabled: false", "{enabled: true}", (False, True)),
    ("enabled: true", "{enabled: false}", (True, False)),
])  # fmt: skip
def test_an_agent_can_be_switched_by_itself(
    folder: Path, outer: str, entry: str, wanted: tuple[bool, bool]
) -> None:
    """The outer switch is only the default of the agents'."""
    config = load(folder, outer, entry)
    assert (config.enabled, config.routes.of("bob").enabled) == wanted


@pytest.mark.parametrize(
    ("entry", "stream", "prefix"),
    [
        ("{url: 'nats://c'}", "outer", "p.outer"),
        ("{streamName: own}", "own", "p.outer.bob"),
        ("{streamName: own, subjectPrefix: p.outer}", "own", "p.outer.bob"),
        ("{streamName: own, subjectPrefix: q}", "own", "q"),
        ("{streamName: outer}", "outer", "p.outer"),
        ("{subjectPrefix: q}", "outer", "q"),
    ],
)
def test_an_agents_own_stream_takes_only_its_own_subjects(
    folder: Path, entry: str, stream: str, prefix: str
) -> None:
    """Its subjects are the same either way; two streams on the very same prefix JetStream would refuse."""
    route = bob(folder, entry)
    assert (route.stream, route.prefix) == (stream, prefix)


def test_a_prefix_that_ends_in_the_agent_is_not_made_longer(folder: Path) -> None:
    """The token is left out there, so the subjects are the same as well."""
    assert bob(folder, "{streamName: own}", "subjectPrefix: p.bob").prefix == "p.bob"


def test_agents_with_odd_names_get_an_encoded_token(folder: Path) -> None:
    """`%XX` as in every subject."""
    text = "gateway: {eventStore: {agents: {a b.c: {streamName: own}}}}"
    assert load_text(text, None, {}).routes.of("a b.c").prefix == "openclaw.events.a%20b%2Ec"


def test_one_stream_cannot_have_two_settings(folder: Path) -> None:
    """Which one would win depends on who connects first."""
    told = problem(folder, OUTER, "{stream: {maxAge: 1d}}")
    assert told == (
        "config.yml:13: *.agents.bob.stream: * itself has other settings for the same stream outer; "
        "give this agent a streamName of its own, or set them in one place"
    )
    assert bob(folder, "{stream: {maxAge: 1d}, streamName: own}").settings.max_age == 86400
    assert bob(folder, "{stream: {maxAge: 1d}, url: 'nats://c'}").settings.max_age == 86400
    assert bob(folder, "{stream: {maxAge: 1d}, jsDomain: edge}").settings.max_age == 86400
    assert bob(folder, "{stream: {maxAge: 1d}, user: u, password: p}").settings.max_age == 86400


def test_agents_whose_subjects_overlap_are_warned_of(folder: Path) -> None:
    """With different logins it may be right (two accounts), and below the default prefix it is foreseen."""
    agents = """
    agents:
      one: {streamName: s1, subjectPrefix: q}
      two: {streamName: s2, subjectPrefix: q.two%s}
"""
    (warning,) = load(folder, agents % "").warnings
    assert warning.startswith(
        f"{folder}/config.yml:5: gateway.eventStore.agents.two.subjectPrefix: q.two overlaps q "
    )
    assert not load(folder, agents % ", url: 'nats://u:p@h'").warnings
    assert not load(folder, OUTER, "{streamName: own}").warnings


def test_the_duplicate_window_is_never_longer_than_the_age(folder: Path) -> None:
    """JetStream refuses such a stream; the default gives way, what was written is a problem."""
    assert load(folder, "stream: {maxAge: 1m}").routes.default.settings.duplicate_window == 60
    assert load(folder, "stream: {maxAge: 0}").routes.default.settings.duplicate_window == 120
    assert "stream.duplicateWindow: cannot be longer" in problem(
        folder, "stream: {maxAge: 1m, duplicateWindow: 3m}"
    )


def test_a_window_that_gave_way_is_not_inherited(folder: Path) -> None:
    """It was derived from an age that the agent does not share."""
    outer = "stream: {maxAge: 1m}"
    assert bob(folder, "{streamName: s, stream: {maxAge: 30d}}", outer).settings.duplicate_window == 120
    assert bob(folder, "{streamName: s, stream: {maxAge: 30s}}", outer).settings.duplicate_window == 30


def test_a_stream_without_a_limit_is_written_as_nought(folder: Path) -> None:
    """So that an agent can lift the outer limit; JetStream's own number is -1."""
    outer = "stream: {maxBytes: 1GiB}"
    assert bob(folder, "{streamName: s}", outer).settings.max_bytes == 2**30
    assert bob(folder, "{streamName: s, stream: {maxBytes: 0}}", outer).settings.max_bytes == -1


WAYS = {
    "user: u\n    password: p": ("u", Secret("p"), None, None, None),
    "user: u\n    passwordFile: password": ("u", "password", None, None, None),
    "natsToken: t": (None, None, Secret("t"), None, None),
    "natsTokenFile: token": (None, None, "token", None, None),
    "credsFile: x.creds": (None, None, None, "x.creds", None),
    "nkeySeed: S": (None, None, None, None, Secret("S")),
    "nkeySeedFile: seed": (None, None, None, None, "seed"),
}


@pytest.mark.parametrize(("keys", "wanted"), WAYS.items(), ids=WAYS)
def test_each_way_to_log_in(folder: Path, keys: str, wanted: tuple[object, ...]) -> None:
    """Files are found from the config file's folder and read at each use."""
    found = load(folder, f"url: nats://h\n    {keys}").routes.default.server.credentials
    user, password, token, creds, seed = (
        wanted[0],
        *(Secret(path=folder / way) if isinstance(way, str) else way for way in wanted[1:]),
    )
    creds_file = creds.path if isinstance(creds, Secret) else None
    assert (found.user, found.password, found.token, found.creds_file, found.nkey_seed) == (
        user, password, token, creds_file, seed,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("user: u", "*.user: has no password; add passwordFile or password"),
        ("password: p", "*.password: has no user beside it"),
        ("passwordFile: password", "*.passwordFile: has no user beside it"),
        ("user: u\n    password: p\n    natsToken: t", "*.natsToken: user and natsToken are different ways"),
        (
            "credsFile: x.creds\n    nkeySeedFile: seed",
            "*.nkeySeedFile: credsFile and nkeySeed are different ways",
        ),
        (
            "natsToken: t\n    natsTokenFile: token",
            "*.natsTokenFile: natsToken is given too; keep one of them",
        ),
        ("passwordFile: none\n    user: u", "*.passwordFile: cannot read none: No such file or directory"),
        ("credsFile: .", "*.credsFile: cannot read"),
        ("tls: {caFile: none}", "*.tls.caFile: cannot read none: No such file or directory"),
        ("tls: {certFile: cert.pem}", "*.tls: certFile and keyFile belong together"),
    ],
)
def test_what_cannot_log_in_is_told_at_once(folder: Path, keys: str, told: str) -> None:
    """Found here it has a line; found by the server it is only `authorization violation`."""
    assert told in problem(folder, f"url: nats://h\n    {keys}")


def test_credentials_stand_in_one_place(folder: Path) -> None:
    """In the url or beside it, not both."""
    told = problem(folder, "url: nats://u:p@h\n    natsToken: t")
    assert told == "config.yml:2: *: has credentials in the url and in keys beside it; keep one of them"


@pytest.mark.parametrize(
    "keys", ["natsToken: t", "jsDomain: hub", "tls: {serverName: x}", "url: embedded\n    natsToken: t"]
)
def test_the_embedded_server_needs_nothing(folder: Path, keys: str) -> None:
    """Credentials without a url are one that was forgotten."""
    assert "the embedded server makes its own credentials" in problem(folder, keys)


def test_a_wrong_url_is_the_only_problem_of_its_entry(folder: Path) -> None:
    """What follows from one mistake is not told as another."""
    assert len(problem(folder, "url: http://h\n    natsToken: t", "{user: u, password: p}").splitlines()) == 1


def test_url_and_nats_url_are_one_setting(folder: Path) -> None:
    """The same value twice is harmless; two values are not."""
    both = "url: nats://h\n    natsUrl: nats://{}"
    assert load(folder, both.format("h")).routes.default.server.urls == ("nats://h:4222",)
    assert "*.natsUrl: is another name of url" in problem(folder, both.format("other"))


def test_an_empty_secret_file_is_a_problem(folder: Path) -> None:
    """Most often the secret was not there yet when the file was written."""
    (folder / "token").write_text("\n")
    assert "*.natsTokenFile: the secret file token is empty" in problem(
        folder, "url: nats://h\n    natsTokenFile: token"
    )


def test_secrets_that_others_can_read_are_warned_of(folder: Path) -> None:
    """In files of their own or in the config file itself; a certificate is public."""
    config = folder / "config.yml"
    config.touch(mode=0o644)
    config.chmod(0o644)
    for name in ("password", "key.pem", "cert.pem", "ca.pem"):
        (folder / name).chmod(0o644)
    tls = "tls: {caFile: ca.pem, certFile: cert.pem, keyFile: key.pem}"
    keys = f"url: nats://h\n    user: u\n    passwordFile: password\n    {tls}"
    warnings = load(folder, keys, "{natsToken: t}").warnings
    assert [warning.split(": ")[1].removeprefix("gateway.eventStore.") for warning in warnings] == [
        "passwordFile",
        "tls.keyFile",
        "agents.bob.natsToken",
    ]
    assert f"{folder}/config.yml:5: " in warnings[0]
    assert f"chmod o-rwx {folder}/password" in warnings[0]
    for name in ("config.yml", "password", "key.pem"):
        (folder / name).chmod(0o640)
    assert not load(folder, keys, "{natsToken: t}").warnings


def test_a_config_file_that_others_can_read_is_told_once(folder: Path) -> None:
    """However many secrets are in it."""
    (folder / "config.yml").touch()
    (folder / "config.yml").chmod(0o644)
    (warning,) = load(folder, "url: nats://u:p@h", "{user: u, password: p}").warnings
    assert warning.startswith(f"{folder}/config.yml:3: gateway.eventStore.url: a secret is in this file")


def test_paths_begin_at_home_or_at_the_config_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon's working directory means nothing to a person."""
    monkeypatch.setenv("HOME", "/home/me")
    data_dir = {
        "~/d": "/home/me/d",
        "d": f"{folder}/d",
        "/d": "/d",
        "~nobody-here/d": f"{folder}/~nobody-here/d",
    }
    for written, meant in data_dir.items():
        assert load(folder, f"dataDir: {written}").data_dir == Path(meant)


def test_the_embedded_server_is_used_when_any_route_needs_it(folder: Path) -> None:
    """Also when only one agent stays at home."""
    assert load(folder, OUTER, "{url: embedded}").uses_embedded
    assert load(folder, "enabled: true", "{url: 'nats://h'}").uses_embedded
    assert not load(folder, OUTER, "{url: 'nats://h'}").uses_embedded
