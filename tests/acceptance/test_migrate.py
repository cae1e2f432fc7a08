"""`eventd migrate` with a whole daemon: all is stored once, shows, and comes out as it was."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.support import Ended, Eventd
from eventd_ipc.blocking import connect
from support.daemon import Daemon
from support.indexed import wait_indexed
from support.rounds import FULL
from support.waiting import wait_until
from support.workspace import GITHUB, SAMPLE, contents, rebuilt, write

NOTE_BYTES = 50 * 10**6 if FULL else 3 * 10**6
FILES = 10_000 if FULL else 300
LOG = {f"memory/log/{n}.md": b"# Log %d\n## A\n%s\n## B\nmore\n" % (n, b"words " * 2500) for n in range(300)}
"""More than is under way at a time, and more lines of output than a pipe holds that nobody reads."""
SOON = 30.0  # seconds; a bound against hanging


@pytest.fixture
def daemons(short_tmp: Path) -> Iterator[Callable[..., Daemon]]:
    """Make started daemons; none runs after the test, and none has met a bug."""
    made: list[Daemon] = []

    def make(**settings: Any) -> Daemon:
        made.append(Daemon(short_tmp / f"d{len(made)}", settings))
        return made[-1].start()

    yield make
    for daemon in made:
        daemon.kill()
    for daemon in made:
        assert "Traceback" not in daemon.log_text, daemon.complaint()


@pytest.fixture
def daemon(daemons: Callable[..., Daemon]) -> Daemon:
    return daemons()


@pytest.fixture
def folder(short_tmp: Path) -> Path:
    """A workspace with files of every sort."""
    return write(short_tmp / "workspace")


def command(daemon: Daemon) -> Eventd:
    return Eventd(["--socket", daemon.socket])


def bodies(daemon: Daemon, agent: str = "main") -> dict[str, bytes]:
    """Return what is stored of files, by id; each id must be there once."""
    with connect("main", socket=daemon.socket) as client:
        found = client.query(agent=agent, types=["migration.*", "memory.fact"], order="oldest")
        events = [bytes(event.body) for event in found]
    by_id = {json.loads(body)["id"]: body for body in events}
    assert len(by_id) == len(events)
    return by_id


def migrate(daemon: Daemon, folder: Path, *options: str | Path, code: int = 0) -> dict[str, Any]:
    """Migrate a folder and return the summary."""
    ended = command(daemon)("migrate", "--workspace", folder, "--json", *options)
    assert ended.code == code, ended.err
    summary: dict[str, Any] = ended.objects[-1]["summary"]
    return summary


def added(daemon: Daemon, folder: Path) -> int:
    return sum(migrate(daemon, folder)["added"].values())


def recalled(daemon: Daemon, words: str) -> list[str]:
    with connect("main", socket=daemon.socket) as client:
        return [hit["text"] for hit in client.recall(words)["hits"]]


def test_a_workspace_is_stored_and_shown_whatever_happens(
    daemons: Callable[..., Daemon], folder: Path
) -> None:
    """Byte for byte, and once: another run adds nothing, after an edit, a restart, the duplicate window, and
    after index and outbox were lost. Recall and context show what holds, and nothing that was replaced.
    """
    daemon = daemons(stream={"duplicateWindow": "100ms"})
    assert added(daemon, folder) > len(SAMPLE)
    assert rebuilt(bodies(daemon).values()) == contents(folder)
    assert added(daemon, folder) == 0
    assert recalled(daemon, "rocket")[0].startswith("## Projects\nApollo is a rocket.")

    write(folder, {"MEMORY.md": SAMPLE["MEMORY.md"].replace(b"is a rocket", b"is a moon rocket")})
    assert migrate(daemon, folder)["added"] == {"migration.long_term_memory": 1, "migration.section": 1}

    def check() -> None:
        assert added(daemon, folder) == 0
        assert rebuilt(bodies(daemon).values()) == contents(folder)
        [text] = [text for text in recalled(daemon, "rocket") if "rocket" in text]
        assert "a moon rocket" in text
        assert "Jane works at Initech" not in recalled(daemon, "Jane Initech")
        assert recalled(daemon, "Globex people")[0] == "Globex has 120 people"
        with connect("main", socket=daemon.socket) as client:
            block = client.context(query="What about the rocket, and the baobab?")["text"]
            [hit] = client.recall("pigeon")["hits"]
        for shown in ("Jane works at Globex", "a moon rocket", "Planted a baobab", "The attic leaks"):
            assert shown in block
        for left_out in ("Initech", "is a rocket", "90 people"):
            assert left_out not in block
        assert (hit["path"], hit["heading"]) == ("life/areas/people/jane-doe/summary.md", "Contact")

    check()
    stored = bodies(daemon)
    daemon.wait_shipped()
    daemon.restart()
    check()
    with connect("main", socket=daemon.socket) as client:
        client.index("rebuild")
    check()
    assert daemon.stop() == 0
    for file in (*daemon.data.glob("index.db*"), *daemon.data.glob("outbox.db*")):
        file.unlink()
    daemon.start()
    check()
    assert bodies(daemon) == stored


def test_migrate_goes_on_where_it_was_killed(daemons: Callable[..., Daemon], folder: Path) -> None:
    """The same events as without the kill, each once; so with a daemon that was killed meanwhile."""
    write(folder, LOG)
    whole = daemons()
    assert added(whole, folder) > 900
    for kill in ("migrate", "daemon"):
        torn = daemons()
        with command(torn).start("migrate", "--workspace", folder, "--json") as running:
            while '"stored"' not in running.read_line():
                pass
            if kill == "migrate":
                running.process.kill()
                assert running.end().code == -signal.SIGKILL
                assert len(bodies(torn)) < len(bodies(whole))
                migrate(torn, folder)
            else:
                torn.restart(kill=True)
                assert running.end().code == 0
        assert bodies(torn) == bodies(whole)
        torn.wait_shipped()
        wait_indexed(torn, torn.embedded_streams())
        assert added(torn, folder) == 0


def test_ctrl_c_says_how_far_it_came(daemon: Daemon, folder: Path) -> None:
    """And that the same command goes on."""
    write(folder, LOG)
    with command(daemon).start("migrate", "--workspace", folder, "--json") as running:
        while '"stored"' not in running.read_line():
            pass
        ended = running.interrupt()
    assert ended.code == 130
    assert "the same command goes on from there" in ended.err
    assert added(daemon, folder) > 0
    assert rebuilt(bodies(daemon).values()) == contents(folder)


def test_files_come_out_as_they_went_in(daemon: Daemon, folder: Path, short_tmp: Path) -> None:
    """Into an empty folder only; and `get --text` prints all of a file, by any part of it."""
    big = b"".join(b"line %d\n" % n for n in range(30_000))
    write(folder, {"memory/log.md": big})
    migrate(daemon, folder)
    eventd, out = command(daemon), short_tmp / "out"
    ended = eventd("migrate", "--write-back", out)
    assert (ended.code, ended.err) == (0, "")
    assert contents(out) == contents(folder)
    assert eventd("migrate", "--write-back", out).code == 1
    assert eventd("migrate", "--write-back", short_tmp / "none", "--agent", "nobody").code == 1
    assert not (short_tmp / "none").exists()
    ids = [
        event_id
        for event_id, body in bodies(daemon).items()
        if json.loads(body)["payload"]["data"].get("path") == "memory/log.md"
    ]
    assert len(ids) > 2
    assert {eventd("get", event_id, "--text").out for event_id in ids} == {big}


def test_an_event_that_leads_elsewhere_is_not_written(daemon: Daemon, folder: Path, short_tmp: Path) -> None:
    """Whoever may write as the agent can make one; it is told, and the others are written."""
    migrate(daemon, folder)
    lead = next(b for b in map(json.loads, bodies(daemon).values()) if b["type"] == "migration.note")
    lead["payload"]["data"] |= {"path": "../escaped.md", "supersedes": []}
    lead["meta"] |= {"runId": "x", "folder": "/.."}
    del lead["payload"]["data"]["sections"][:]
    line = json.dumps(lead | {"id": "evil", "session": "s"}).encode()
    assert command(daemon)("emit", "--stdin", stdin=line).code == 0
    ended = command(daemon)("migrate", "--write-back", short_tmp / "out")
    assert ended.code == 1
    assert "../escaped.md: not written" in ended.err
    assert not (short_tmp / "escaped.md").exists()
    assert contents(short_tmp / "out") == contents(folder)


def test_dry_run_stores_nothing(daemon: Daemon, folder: Path) -> None:
    """With a daemon it says what is new, without one what there is."""
    first = migrate(daemon, folder, "--dry-run")
    assert bodies(daemon) == {}
    assert migrate(daemon, folder)["added"] == first["added"]
    write(folder, {"memory/new.md": b"new\n"})
    assert migrate(daemon, folder, "--dry-run")["added"] == {"migration.note": 1}
    daemon.kill()
    offline = command(daemon)("migrate", "--workspace", folder, "--dry-run", "--json")
    assert offline.code == 0
    assert sum(offline.objects[-1]["summary"]["added"].values()) == sum(first["added"].values()) + 1
    assert command(daemon)("migrate", "--workspace", folder).code == 3


def found(daemon: Daemon, home: Path, *options: str) -> Ended:
    """Run it for a person with a home folder of their own."""
    return command(daemon)("migrate", *options, HOME=str(home))


def test_workspaces_are_found_with_their_agents(daemon: Daemon, short_tmp: Path) -> None:
    """Each is told and migrated, as whose it is; nothing found is loud, and says where it was looked."""
    nothing = found(daemon, short_tmp)
    assert (nothing.code, nothing.out) == (1, b"")
    assert str(short_tmp / ".openclaw" / "workspace") in nothing.err
    assert str(short_tmp / "clawd") in nothing.err
    write(short_tmp / ".openclaw" / "workspace-work", {"MEMORY.md": b"of work\n"})
    other = found(daemon, short_tmp, "--agent", "main")
    assert (other.code, "no workspace of agent main" in other.err) == (1, True)
    write(short_tmp / ".openclaw" / "workspace", {"MEMORY.md": b"of main\n"})
    ended = found(daemon, short_tmp)
    assert ended.code == 0
    assert "workspace-work, of agent work" in ended.err
    for agent in ("main", "work"):
        assert rebuilt(bodies(daemon, agent).values()) == {"MEMORY.md": f"of {agent}\n".encode()}
    assert found(daemon, short_tmp, "--agent", "nobody").code == 1
    empty = command(daemon)("migrate", "--workspace", short_tmp / "nowhere")
    assert (empty.code, "not there" in empty.err) == (1, True)


def test_a_person_is_told_what_matters(daemon: Daemon, folder: Path) -> None:
    """A table at the end; before it secrets by place and kind, damage by line, and what is skipped."""
    write(folder, {
        "memory/keys.md": f"# Keys\n\nghp: {GITHUB}\n".encode(),
        "life/areas/people/joe/items.json": b'[\n{"fact": "Joe sings"},\n{"fact": "Jo',
        "memory/.dreams/x.md": b"x",
        "memory/empty.md": b"",
    })  # fmt: skip
    os.mkfifo(folder / "memory" / "pipe.md")
    ended = command(daemon)("migrate", "--workspace", folder)
    assert ended.code == 0
    assert "memory/keys.md:3: looks like a secret (github-token)" in ended.err
    assert "life/areas/people/joe/items.json:3: no JSON" in ended.err
    assert "memory/pipe.md: no plain file" in ended.err
    assert GITHUB not in ended.err + ended.out.decode()
    table = dict(line.rsplit("  ", 1) for line in ended.lines)
    rows = {name.strip(): value.strip() for name, value in table.items()}
    assert rows["hidden: machine state"] == rows["empty"] == rows["look like secrets"] == "1"
    assert rows["damaged files"] == "1"
    assert rows["memory.fact"] == "8"
    assert rebuilt(bodies(daemon).values()) == {
        path: data for path, data in contents(folder).items() if ".dreams" not in path
    }
    again = command(daemon)("migrate", "--workspace", folder, "--redact")
    assert again.code == 0
    with connect("main", socket=daemon.socket) as client:
        [hit] = client.recall("keys ghp", types="migration.*", limit=1)["hits"]
    assert hit["text"] == "# Keys\n\nghp: [redacted:github-token]\n"


def test_a_large_note_and_many_files(daemon: Daemon, short_tmp: Path) -> None:
    """Nothing is cut; what stands at the end of a large note is found."""
    lines = b"".join(b"line %d of a very long note\n" % n for n in range(NOTE_BYTES // 32))
    lines += b"and the last word is xylophone\n"
    many = {f"memory/days/{n // 100}/{n}.md": b"# Day %d\n## A\nword%d\n" % (n, n) for n in range(FILES)}
    folder = write(short_tmp / "w", {"memory/long.md": lines, **many})
    summary = migrate(daemon, folder)
    assert summary["files"] == FILES + 1
    assert added(daemon, folder) == 0
    wait_until(lambda: recalled(daemon, "xylophone"), SOON, what="it is found")
    out = short_tmp / "out"
    assert command(daemon)("migrate", "--write-back", out).code == 0
    assert contents(out) == contents(folder)
    shutil.rmtree(out)
