"""The document's own files, what is absent, and what is wrong, with its place."""

import os
from pathlib import Path

import pytest

from eventd.config.load import default_config, glance, load_config, load_file, load_text
from eventd.config.names import cluster_fault, domain_fault, tag_fault
from eventd.config.problems import ConfigNotFound, InvalidConfig
from eventd.config.reader import UNUSABLE
from eventd.config.settings import Config
from eventd.errors import ConfigError
from eventd.routes import DEFAULT_ROUTE, Route, Server
from eventd.secret import Secret
from eventd.units import DURATION_FORM, SIZE_FORM
from eventd_ipc.strict import agent_fault

DOCUMENTS = Path(__file__).parent / "documents"


def login_of(route: Route) -> tuple[str | None, str | None]:
    password = route.server.credentials.password
    return route.server.credentials.user, password.reveal() if password else None


def problems_of(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        load_text(text, Path("config.yml"), environ or {})
    return str(caught.value).splitlines()


def test_the_documents_first_example_is_one_route() -> None:
    """`Configuration`: the smallest file of the document."""
    config = load_file(DOCUMENTS / "quick-start.yml")
    assert config.routes.all() == [
        Route(DEFAULT_ROUTE, Server(("nats://localhost:4222",)), "openclaw-events", "openclaw.events")
    ]
    assert config.enabled
    assert not config.uses_embedded


def test_the_documents_full_options_give_the_agent_its_own_route() -> None:
    """`Full Options`: credentials leave the url; the agent's prefix lies below the default one."""
    config = load_file(DOCUMENTS / "full-options.yml")
    default, agent = config.routes.all()
    assert default.server.urls == agent.server.urls == ("nats://localhost:4222",)
    assert (login_of(default), login_of(agent)) == (("user", "pass"), ("agent", "pass"))
    assert (agent.name, agent.stream, agent.prefix) == (
        "my-agent",
        "events-my-agent",
        "openclaw.events.my-agent",
    )
    assert config.routes.of("my-agent") is agent
    assert config.routes.of("anybody") is default
    assert config.routes.overlapping()


def test_the_documents_isolated_agents_have_three_routes() -> None:
    """`Multi-Agent Isolation`: no prefix lies below another."""
    config = load_file(DOCUMENTS / "multi-agent.yml")
    assert [(route.stream, route.prefix, *login_of(route)) for route in config.routes.all()] == [
        ("openclaw-events", "openclaw.events.main", "main", "password"),
        ("events-assistant-one", "openclaw.events.assistant-one", "assistant1", "pass"),
        ("events-assistant-two", "openclaw.events.assistant-two", "assistant2", "pass"),
    ]
    assert not config.routes.overlapping()


def test_no_file_means_the_embedded_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing configured is no error: one stream on the server that eventd runs itself."""
    monkeypatch.setattr("eventd.paths.config_candidates", lambda: iter([tmp_path / "none.yml"]))
    config = load_config(environ={"STATE_DIRECTORY": str(tmp_path)})
    assert config == Config(routes=default_config().routes, data_dir=tmp_path, source=None, warnings=())
    assert config.uses_embedded
    assert config.enabled
    assert config.embedded_store == tmp_path / "embedded"


def test_a_named_file_that_is_absent_is_another_error_than_an_invalid_one(tmp_path: Path) -> None:
    """To fall back to defaults there would run a daemon that nobody configured."""
    absent = tmp_path / "config.yml"
    with pytest.raises(ConfigNotFound, match=str(absent)):
        load_config(absent)
    with pytest.raises(ConfigNotFound, match=str(absent)):
        load_config(environ={"EVENTD_CONFIG": str(absent)})
    absent.write_text("gateway: {eventStore: 5}")
    with pytest.raises(InvalidConfig):
        load_config(absent)


def test_a_named_file_wins_over_the_variable(tmp_path: Path) -> None:
    """`--config` is nearer to the person than `$EVENTD_CONFIG`."""
    named = tmp_path / "named.yml"
    named.write_text("gateway: {eventStore: {streamName: named}}")
    config = load_config(named, {"EVENTD_CONFIG": str(tmp_path / "absent.yml")})
    assert (config.routes.default.stream, config.source) == ("named", named)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"gateway: \xe9"])
def test_a_file_in_another_encoding_is_named(tmp_path: Path, content: bytes) -> None:
    """Only UTF-8 is read; a byte order mark is allowed."""
    path = tmp_path / "config.yml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.yml is not in UTF-8"):
        load_file(path)
    path.write_bytes(b"\xef\xbb\xbfgateway: {eventStore: {streamName: marked}}")
    assert load_file(path).routes.default.stream == "marked"


def test_a_folder_in_place_of_the_file_is_a_clear_error(tmp_path: Path) -> None:
    """Whatever the system refuses is told with its reason."""
    with pytest.raises(ConfigError, match=f"cannot read the config file {tmp_path}: Is a directory"):
        load_file(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_not_passed_over(tmp_path: Path) -> None:
    """A file that is there is meant, even if this user cannot read it."""
    path = tmp_path / "config.yml"
    path.touch(mode=0)
    with pytest.raises(ConfigError, match="Permission denied"):
        load_config(environ={"EVENTD_CONFIG": str(path)})


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "gateway:\n", "gateway:\n  other: 1\n", "eventStore: {}\n"]
)
def test_a_file_without_our_node_means_the_defaults_and_says_so(text: str) -> None:
    """A node in the wrong place must not go unnoticed."""
    config = load_text(text, None, {})
    assert config.routes == default_config().routes
    assert config.warnings == ("config.yml: there is no gateway.eventStore in it; the defaults are used",)


@pytest.mark.parametrize("text", ["gateway:\n  eventStore:\n", "gateway: {eventStore: {}}"])
def test_an_empty_node_means_the_defaults(text: str) -> None:
    """All settings commented out is an ordinary file."""
    assert load_text(text, None, {}) == default_config({})


def test_other_parts_of_the_file_are_not_looked_at() -> None:
    """The file belongs to OpenClaw: its tags, duplicates and types are its own business."""
    text = """
other: !include secret.yml
other: {a: 1, a: 2, 3: [x], ? [complex] : key}
gateway:
  port: 18789
  port: 18790
  eventStore: {streamName: ours}
"""
    assert load_text(text, None, {}).routes.default.stream == "ours"


NODE = "gateway:\n  eventStore:\n    "

ONE_SERVER = (
    "the embedded server is a single one; replicas and placement are for a cluster, whose servers url names"
)
QUOTES = "put it in quotes"
NO_TEXT = "has to be text, but is"
NO_DURATION = f"a duration is {DURATION_FORM}"
NO_WORD = "has no spaces, dots, slashes, wildcards (* >) or control characters"

BAD = {
    "streamname: a": "streamname: unknown key; did you mean streamName?",
    "stream_name: a": "stream_name: unknown key; did you mean streamName?",
    "STREAM-NAME: a": "STREAM-NAME: unknown key; did you mean streamName?",
    "natsURL: a": "natsURL: unknown key; did you mean natsUrl?",
    "outbox: {maxByte: 1GiB}": "outbox.maxByte: unknown key; did you mean maxBytes?",
    "log: {colour: x}": "log.colour: unknown key; the keys here are level, format",
    "outbox: {dataDir: /x}": "outbox.dataDir: unknown key; it belongs directly under gateway.eventStore",
    "agents: {a: {log: {}}}": "agents.a.log: unknown key; it belongs directly under gateway.eventStore",
    "agents: {a.b: {urll: x}}": "agents['a.b'].urll: unknown key; did you mean url?",
    'enabled: "true"': "enabled: has to be true or false, but is text",
    "enabled: 1": "enabled: has to be true or false, but is a number",
    "enabled: !!bool maybe": "enabled: has to be true or false",
    "enabled:": "enabled: has no value; write true or false, or take the line out",
    "streamName: 5": f"streamName: {NO_TEXT} a number in YAML; {QUOTES}",
    "streamName: off": f"streamName: {NO_TEXT} true or false in YAML; {QUOTES}",
    "streamName: 2026-11-22": f"streamName: {NO_TEXT} a date in YAML; {QUOTES}",
    "streamName: !tag x": f"streamName: {NO_TEXT} a value of another kind in YAML; {QUOTES}",
    "streamName: [a]": f"streamName: {NO_TEXT} a list",
    'streamName: ""': "streamName: is empty",
    "streamName: a.b": f"streamName: a stream name {NO_WORD}",
    "subjectPrefix: $JS.API": "subjectPrefix: subjects that begin with $ or _INBOX belong to NATS",
    r'dataDir: "a\0b"': f"dataDir: {UNUSABLE}",
    r'streamName: "\ud800"': f"streamName: {UNUSABLE}",
    r'agents: {"\ud800": {}}': rf"agents['\ud800']: {UNUSABLE}",
    "outbox: 5": "outbox: has to be a mapping, but is a number",
    "agents: [a]": "agents: has to be a mapping, but is a list",
    "agents: {a: text}": "agents.a: has to be a mapping, but is text",
    "agents: {'*': {}}": f"agents['*']: {agent_fault('*')}",
    f"agents: {{{65 * 'a'}: {{}}}}": f"agents.{65 * 'a'}: {agent_fault(65 * 'a')}",
    "outbox: {retain: 5}": f"outbox.retain: {NO_DURATION}",
    "outbox: {retain: -5s}": f"outbox.retain: {NO_DURATION}",
    "outbox: {retain: [5s]}": "outbox.retain: has to be a duration, but is a list",
    "outbox: {maxBytes: 10 apples}": f"outbox.maxBytes: a size is {SIZE_FORM}",
    "outbox: {maxBytes: 1KiB}": "outbox.maxBytes: has to be at least 1MiB",
    "outbox: {ledgerIds: 1.5}": "outbox.ledgerIds: has to be a whole number, but is a decimal number",
    "outbox: {ledgerIds: -1}": "outbox.ledgerIds: has to be at least 0",
    "embedded: {port: 65536}": "embedded.port: has to be at most 65535",
    "embedded: {port: 0x1F}": "embedded.port: has to be a whole decimal number",
    "socket: {maxEvents: 65537}": "socket.maxEvents: has to be at most 65536",
    "embedded: {maxPayload: 65MiB}": "embedded.maxPayload: has to be at most 64MiB",
    "embedded: {serverPath: /none}": "embedded.serverPath: /none is no program that can be run",
    "embedded: {serverPath: /}": "embedded.serverPath: / is no program that can be run",
    "socket: {helloTimeout: 0s}": "socket.helloTimeout: has to be at least 1ms",
    "log: {level: loud}": "log.level: has to be one of debug, error, info, warning",
    "stream: {replicas: 6}": "stream.replicas: has to be at most 5",
    "stream: {replicas: 3}": f"stream.replicas: {ONE_SERVER}",
    "stream: {placement: {tags: [a]}}": f"stream.placement: {ONE_SERVER}",
    "stream: {placement: a}": "stream.placement: has to be a mapping, but is text",
    "stream: {placement: {tag: a}}": "stream.placement.tag: unknown key; did you mean tags?",
    "{url: x, stream: {placement: {tags: [a b]}}}": f"stream.placement.tags: {tag_fault('a b')}",
    "{url: x, stream: {placement: {tags: ['!']}}}": f"stream.placement.tags: {tag_fault('!')}",
    "{url: x, stream: {placement: {cluster: a b}}}": f"stream.placement.cluster: {cluster_fault('a b')}",
    "{url: 'a,,b'}": "url: a server is missing; write one like nats://localhost:4222",
    "{url: 'a,b,a:4222'}": "url: a server stands in this url twice",
    "{url: 'a,embedded'}": "url: embedded stands alone, not among other servers",
    "stream: {maxAge: 50ms}": "stream.maxAge: has to be 0 (for ever) or at least 100ms",
    "url: http://x": "url: an address begins with nats:// or tls://",
    "url: ${NOWHERE}": "url: the environment variable NOWHERE is not set",
    "agents: {a: {url: x, jsDomain: a b}}": f"agents.a.jsDomain: {domain_fault('a b')}",
    "shutdownTimeout: soon": f"shutdownTimeout: {NO_DURATION}",
}


@pytest.mark.parametrize(("line", "message"), BAD.items(), ids=BAD)
def test_a_problem_names_file_line_and_key(line: str, message: str) -> None:
    """Each message can be acted on without looking anything up."""
    assert problems_of(NODE + line) == [f"config.yml:3: gateway.eventStore.{message}"]


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    """Nobody has to correct a file one error at a time."""
    text = """gateway:
  eventStore:
    enabled: maybe
    agents:
      one:
        url: 5
      two: {maxAge: 1d}
    outbox:
      retain: 5
      retain: 5s
"""
    places = [problem.partition(": ")[0] for problem in problems_of(text)]
    assert places == [f"config.yml:{line}" for line in (3, 6, 7, 9, 10)]


def test_a_key_that_stands_twice_is_refused() -> None:
    """YAML would silently take the last one."""
    node = "gateway.eventStore"
    twice = "this key stands in line {} already"
    assert problems_of(NODE + "url: a\n    url: b") == [f"config.yml:4: {node}.url: {twice.format(3)}"]
    assert problems_of("gateway: {}\ngateway: {}") == [f"config.yml:2: gateway: {twice.format(1)}"]
    assert problems_of("gateway:\n  eventStore: {}\n  eventStore: {}") == [
        f"config.yml:3: {node}: {twice.format(2)}"
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("gateway: [", "config.yml:1: this is no YAML: "),
        ("gateway:\n\teventStore: {}", "config.yml:2: this is no YAML: "),
        ("gateway:\n  eventStore: {}\n---\nmore: 1", "config.yml:3: this is no YAML: "),
        ("gateway: \x00", "config.yml: this is no YAML: "),
        ("[" * 5000, "config.yml: this is no usable YAML: it is nested too deeply"),
        ("gateway: 5", "config.yml:1: gateway: has to be a mapping with the key eventStore, but is a number"),
        ("- gateway", "config.yml: has to be a mapping with the key gateway, but is a list"),
    ],
)
def test_what_is_no_config_at_all_is_told_too(text: str, place: str) -> None:
    """Also where YAML itself gives up there is a line, as far as it knows one."""
    (problem,) = problems_of(text)
    assert problem.startswith(place)


def test_defaults_of_the_settings() -> None:
    """The figures of the design; a change of one is a decision."""
    config = default_config({"STATE_DIRECTORY": "/d"})
    outbox, socket, embedded = config.outbox, config.socket, config.embedded
    assert (outbox.max_bytes, outbox.retain, outbox.retain_bytes) == (2**30, 300, 2**28)
    assert (outbox.ledger_age, outbox.ledger_ids, outbox.min_free) == (7 * 86400, 2_000_000, 2**26)
    assert (socket.path, socket.max_connections, socket.max_frame) == (None, 1024, 2**23)
    assert (socket.max_events, socket.max_in_flight, socket.hello_timeout) == (1000, 4 * 2**20, 5)
    assert (embedded.port, embedded.max_payload, embedded.server_path) == (0, 2**23, None)
    stream = config.routes.default.settings
    assert (stream.max_age, stream.max_bytes, stream.replicas) == (90 * 86400, -1, 1)
    assert (stream.duplicate_window, stream.manage) == (120, False)
    assert (config.shutdown_timeout, config.log.level, config.log.format) == (5, "info", "auto")


def test_every_setting_is_read_in_its_unit(tmp_path: Path) -> None:
    """Times become seconds, sizes bytes, paths absolute from the file's folder."""
    server = tmp_path / "server"
    server.touch(mode=0o755)
    text = """
gateway:
  eventStore:
    enabled: no
    url: tls://a,nats://b:1
    streamName: s
    subjectPrefix: p.q
    user: u
    password: w
    jsDomain: hub
    manageStream: yes
    stream: {maxAge: 1h30m, maxBytes: 2GiB, replicas: 3, duplicateWindow: 250ms}
    outbox: {maxBytes: 10MB, retain: 0, retainBytes: 1, ledgerAge: 1w, ledgerIds: 1_000, minFree: 0}
    embedded: {serverPath: server, port: 4333, storeDir: store, maxPayload: 1MiB}
    socket:
      {path: s/e.sock, maxConnections: 1, maxFrame: 1KiB, maxEvents: 2, maxInFlight: 2KiB, helloTimeout: 1s}
    dataDir: data
    shutdownTimeout: 0s
    log: {level: debug, format: json}
"""
    config = load_text(text, tmp_path / "config.yml", {})
    route = config.routes.default
    assert (config.enabled, route.stream, route.prefix) == (False, "s", "p.q")
    assert route.server.urls == ("tls://a:4222", "nats://b:1")
    assert (route.server.credentials.user, route.server.credentials.password) == ("u", Secret("w"))
    assert (route.server.js_domain, route.settings.manage) == ("hub", True)
    stream, outbox, socket = route.settings, config.outbox, config.socket
    assert (stream.max_age, stream.max_bytes, stream.replicas, stream.duplicate_window) == (
        5400,
        2**31,
        3,
        0.25,
    )
    assert (outbox.max_bytes, outbox.retain, outbox.retain_bytes) == (10**7, 0, 1)
    assert (outbox.ledger_age, outbox.ledger_ids, outbox.min_free) == (7 * 86400, 1000, 0)
    assert (config.embedded.server_path, config.embedded_store) == (server, tmp_path / "store")
    assert (config.embedded.port, config.embedded.max_payload) == (4333, 2**20)
    assert (socket.path, socket.max_connections, socket.max_frame) == (tmp_path / "s/e.sock", 1, 1024)
    assert (socket.max_events, socket.max_in_flight, socket.hello_timeout) == (2, 2048, 1)
    assert (config.data_dir, config.shutdown_timeout) == (tmp_path / "data", 0)
    assert (config.log.level, config.log.format) == ("debug", "json")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gateway:\n  eventStore:\n    dataDir: /a/b  # here\n  ]", "/a/b"),
        ('{"gateway": {"eventStore": {"dataDir": "/a/b", "url": ]', "/a/b"),
        ("dataDir: 'c d'\n[", "c d"),
        ("dataDirs: /x\n[", None),
        ("[", None),
    ],
)
def test_a_bad_file_may_still_tell_the_data_folder(tmp_path: Path, text: str, expected: str | None) -> None:
    """Relative to the file, as ever."""
    file = tmp_path / "config.yml"
    file.write_text(text)
    assert glance(file) == (None if expected is None else tmp_path / expected)
    file.unlink()
    assert glance(file) is None
