"""The log of a whole daemon that is given secrets, right and wrong ones, and events: none is in it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.support import Eventd
from eventd_ipc.blocking import connect
from eventd_ipc.errors import EventdClientError
from eventd_ipc.events import Event
from isolation.socket_support import Wire
from support.accounts import Accounts
from support.daemon import Daemon
from support.jetstream import JetStream
from support.nats import NatsServer
from support.waiting import wait_until

HIDDEN = "hunter2"  # is in every secret
CONTENT = "c0ntent"  # is in every event
LARGEST = 1000  # bytes of a message that the stream takes
TOKEN = f"evt_{HIDDEN}-of-the-agent"
LOGIN = f'authorization {{ users: [ {{ user: agents, password: "{HIDDEN}-right" }} ] }}'


def private(path: Path, text: str) -> str:
    """Write a file for ourselves alone and return its path."""
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def routes(server: NatsServer, folder: Path) -> dict[str, Any]:
    """Return an agent for each way to be let in, or not."""
    accounts = Accounts()
    accounts.write_creds(folder / "others.creds")  # sound, and of another server
    in_url = server.url.replace("//", f"//agents:{HIDDEN}-in-url@")
    logins: dict[str, dict[str, Any]] = {
        "wrong-password": {"url": server.url, "user": "agents", "password": f"{HIDDEN}-wrong"},
        "in-url": {"url": in_url},
        "in-file": {
            "url": server.url,
            "user": "agents",
            "passwordFile": private(folder / "pw", f"{HIDDEN}-file"),
        },
        "token": {"url": server.url, "natsToken": f"{HIDDEN}-token"},
        "others-creds": {"url": server.url, "credsFile": str(folder / "others.creds")},
        "no-creds": {"url": server.url, "credsFile": private(folder / "bad.creds", f"{HIDDEN} is no creds")},
        "no-seed": {"url": server.url, "nkeySeedFile": private(folder / "seed", f"SUA{HIDDEN}")},
        "nobody": {"url": f"nats://agents:{HIDDEN}-away@127.0.0.1:9"},
    }
    return {name: {"streamName": f"events-{name}", **login} for name, login in logins.items()}


@pytest.fixture
def start(nats_factory: Callable[..., NatsServer], short_tmp: Path) -> Iterator[Callable[..., Daemon]]:
    """Start a daemon with all of them: `start(**log)`."""
    server = nats_factory(config=LOGIN)
    JetStream(server.url, user="agents", password=f"{HIDDEN}-right").make(
        allow_atomic=True, max_msg_size=LARGEST
    )
    daemons: list[Daemon] = []

    def start(**log: str) -> Daemon:
        settings = {
            "url": server.url,
            "user": "agents",
            "password": f"{HIDDEN}-right",
            "agents": {"main": {"token": TOKEN}, **routes(server, short_tmp)},
            "log": log,
        }
        daemons.append(Daemon(short_tmp / "d", settings))
        return daemons[-1].start()

    yield start
    for daemon in daemons:
        daemon.kill()


def meet_everything(daemon: Daemon) -> None:
    """Emit, and be refused, in all the ways in which content and tokens come in."""
    text = {"data": {"text": CONTENT}}
    for token in (f"evt_{HIDDEN}-wrong", None):
        with pytest.raises(EventdClientError):
            connect("main", socket=daemon.socket, token=token)
    with connect("main", socket=daemon.socket, token=TOKEN) as client:
        client.emit(Event(type="note", payload=text, session="s", id="one"))
        client.emit(Event(type="note", payload={"text": CONTENT * LARGEST}, session="s"))  # a dead letter
        client.recall(CONTENT)
        with pytest.raises(EventdClientError):
            client.emit(Event(type="note", payload={"text": f"other {CONTENT}"}, session="s", id="one"))
    with Wire(daemon.socket) as wire:
        wire.hello("main", TOKEN, client="a test")
        for event in (
            {"type": f"{CONTENT} is no type", "payload": text},
            {"type": "note", "payload": f"{CONTENT} is no payload"},
            {"type": "note", "payload": text, "visibility": CONTENT},
            {"type": "note", "payload": text, "agent": "somebody-else"},
            {"type": "note", "payload": {"text": f"\ud800{CONTENT}".encode("utf-8", "surrogatepass")}},
        ):
            assert wire.emit(event)["op"] == "error"
        assert wire.ask("query", text=f'"{CONTENT}', credit=10)
        assert wire.ask(f"{CONTENT}")[0]["op"] == "error"
        wire.send_bytes(len(CONTENT).to_bytes(4, "big") + CONTENT.encode())
        wire.rest()
    with Wire(daemon.socket) as wire:
        wire.send_bytes(f"GET /?token={HIDDEN} HTTP/1.1\r\n\r\n{CONTENT}".encode())
        wire.rest()


def wait_failed(daemon: Daemon) -> dict[str, Any]:
    """Wait until every route has failed as it must, and what can never be shipped is a dead letter."""
    return daemon.wait_for(
        lambda status: (
            all(route["last_error"] or route["name"] in ("default", "main") for route in status["routes"])
            and status["outbox"]["dead_rows"] == 1
        ),
        what="every route has failed as it must",
    )


@pytest.mark.parametrize("form", ["json", "human"])
def test_no_secret_and_no_content_is_in_the_log(start: Callable[..., Daemon], form: str) -> None:
    """At `info`, in both forms; nor in what status, metrics and `config show` say."""
    daemon = start(level="info", format=form)
    meet_everything(daemon)
    status = wait_failed(daemon)
    eventd = Eventd(["--config", daemon.folder / "config.yml", "--socket", daemon.socket])
    shown = [eventd("config", "show"), eventd("metrics"), eventd("status")]
    assert daemon.stop() == 0, daemon.complaint()
    log = daemon.log_text
    for action in ("connection_opened", "nats_link_down", "dead_letter", "access_denied", "stopped"):
        assert action in log
    for said in (log, json.dumps(status), *(ended.out.decode() + ended.err for ended in shown)):
        assert said
        assert HIDDEN not in said
        assert CONTENT not in said


def test_not_even_debug_tells_a_secret(start: Callable[..., Daemon]) -> None:
    """Logs are sent to others just when something is wrong; content is all that debug may show."""
    daemon = start(level="debug", format="json")
    meet_everything(daemon)
    wait_failed(daemon)
    assert daemon.stop() == 0, daemon.complaint()
    lines = [json.loads(line) for line in daemon.log_text.splitlines()]
    assert "debug" in {line["level"] for line in lines}
    assert all(line["action"] for line in lines)
    assert HIDDEN not in daemon.log_text


@pytest.mark.parametrize(
    "keys",
    [
        {"password": f"{HIDDEN}"},
        {"natsToken": [HIDDEN]},
        {"url": f"nats://h:{HIDDEN}"},
        {"url": f"nats://u:{HIDDEN}/@h"},
        {"url": f"nats://u:{HIDDEN}@h", "natsToken": HIDDEN},
        {"agents": {"a": {"token": {HIDDEN: HIDDEN}}}},
        {"nkeySeed": f"SU{HIDDEN}", "url": "nats://h", "port": HIDDEN},
    ],
    ids=str,
)
def test_a_configuration_that_does_not_hold_is_told_without_its_secrets(
    keys: dict[str, Any], short_tmp: Path
) -> None:
    """The daemon does not start; what it says about it is in the journal for all administrators."""
    file = short_tmp / "config.yml"
    private(file, json.dumps({"gateway": {"eventStore": {"dataDir": str(short_tmp / "data"), **keys}}}))
    done = subprocess.run(
        [sys.executable, "-m", "eventd", "--config", file, "--socket", short_tmp / "s", "run"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "config.yml" in done.stderr
    assert HIDDEN not in done.stdout + done.stderr


def test_the_last_word_of_a_daemon_that_cannot_run_is_a_line_of_its_log(
    daemon_pair: tuple[Daemon, Daemon],
) -> None:
    """As JSON where that is set, with an action: whoever watches the log need not parse anything else."""
    _, second = daemon_pair
    assert second.launch().wait_end() == 1
    last = json.loads(second.log_text.splitlines()[-1])
    assert (last["level"], last["action"]) == ("critical", "ended_by_error")
    assert "eventd" in last["message"]
    assert last["hint"]


def test_a_bug_that_ends_the_daemon_is_a_line_of_its_log(short_tmp: Path) -> None:
    """With the traceback, and without what stands in a URL in it."""
    bug = f"from eventd import app\ndef run(*a, **k): raise KeyError('nats://u:{HIDDEN}@h')\napp.run = run"
    daemon = Daemon(short_tmp / "d", {}, mutation=bug).launch()
    assert daemon.wait_end() == 1
    (last,) = [json.loads(line) for line in daemon.log_text.splitlines()]
    assert (last["level"], last["action"]) == ("critical", "ended_by_bug")
    assert "Traceback" in last["exception"]
    assert HIDDEN not in daemon.log_text


@pytest.fixture
def daemon_pair(short_tmp: Path) -> Iterator[tuple[Daemon, Daemon]]:
    """A daemon that runs, and one that wants the same data folder."""
    first = Daemon(short_tmp / "a", {"url": "nats://127.0.0.1:9"})
    second = Daemon(short_tmp / "b", {"url": "nats://127.0.0.1:9"})
    second.data = first.data
    with first:
        yield first, second


def test_in_the_journal_each_line_has_its_priority(short_tmp: Path) -> None:
    """A whole daemon whose output is what `JOURNAL_STREAM` names: no line without, no time of our own."""
    daemon = Daemon(short_tmp / "d", {"url": "nats://127.0.0.1:9", "log": {"format": "auto"}})
    daemon.folder.mkdir()
    log = daemon.folder / "eventd.log"
    log.touch()
    found = log.stat()
    daemon.environ["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino}"
    with daemon:
        wait_until(lambda: "nats_link_down" in daemon.log_text, 30.0, what=daemon.complaint)
        assert daemon.stop() == 0
    lines = daemon.log_text.splitlines()
    assert [line for line in lines if line.startswith("<4>") and "action=nats_link_down" in line]
    assert all(line[:3] in {"<2>", "<3>", "<4>", "<6>"} and "action=" in line for line in lines)
    assert lines[-1] == "<6>stopped  action=stopped"
