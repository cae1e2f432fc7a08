"""Dead letters, what was forgotten, secrets: what comes back only where that is wanted."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from backup.conftest import SiteFactory
from backup.site import Site
from eventd_ipc.messages import Selected
from support.foreign import write
from support.forgetting import MARKER, admin, shown, wait_forgotten
from support.jetstream import STREAM
from support.load import Shape, emit
from support.waiting import wait_until

LARGE = Shape(size=3000)


def test_dead_letters_come_with_their_reasons_and_go_in_where_asked(
    site_factory: SiteFactory, folder: Path
) -> None:
    """As a server takes them that takes larger messages; each once, whatever is asked afterwards."""
    site, other = site_factory(), site_factory()
    site.emit(1, 5)
    site.streams.edit(max_msg_size=2000)
    emit(site.daemon.socket, "main", range(6, 9), LARGE)
    site.daemon.wait_for(lambda status: status["outbox"]["dead_rows"] == 3, what="they are dead letters")
    assert site.backup(folder)[""]["deadLetters"] == 3
    restored = other.restore(folder)
    assert (restored[STREAM]["restored"], restored["outbox"]["dead_letters"]) == (5, 3)
    assert len(other.streams.read()) == 5
    other.streams.edit(max_msg_size=-1)  # the snapshot came with the limit
    assert other.restore(folder, "--dead-letters")["outbox"]["restored"] == 3
    again = other.restore(folder, "--dead-letters")["outbox"]
    assert (again["restored"], again["there"], again["compared"]) == (0, 3, True)
    assert [message.id for message in other.streams.read()][5:] == [f"main-{n:06}" for n in (6, 7, 8)]


@pytest.mark.parametrize("how", ["snapshot", "events"])
def test_what_was_forgotten_since_the_snapshot_does_not_come_back(
    site: Site, other: Site, folder: Path, how: str
) -> None:
    """The snapshot has it; a tombstone that came later says that it must not."""
    ids = site.emit(1, 10)
    site.backup(folder)
    gone = {"id": ids[3], "stream": STREAM, "seq": 4}
    tombstone = {"id": "t-1", "agent": "main", "type": "eventd.tombstone", "payload": {"forgotten": [gone]}}
    _publish(site, "openclaw.events.main.eventd_tombstone", "main:t-1", msgspec.json.encode(tombstone))
    site.streams.delete_message(4)
    site.backup(folder)
    if how == "events":
        other.emit(90, 95)
    restored = other.restore(folder)[STREAM]
    assert (restored["how"], restored["restored"], restored["forgotten"]) == (how, 10, 1)
    assert restored["compared"]
    there = [message.id for message in other.streams.read()]
    assert [name for name in there if name in (*ids, "t-1")] == [*ids[:3], *ids[4:], "t-1"]


@pytest.mark.parametrize("how", ["snapshot", "events"])
def test_other_writers_messages_that_were_forgotten_do_not_come_back(
    site: Site, other: Site, folder: Path, how: str
) -> None:
    """A tombstone names them by place, or by an id that they are not put in under; and others with them."""
    ids = site.emit(1, 6)
    _forget_foreign(site, ids[2], lambda: site.backup(folder))
    again = site.restore(folder)[STREAM]
    assert (again["restored"], again["there"], again["forgotten"], again["compared"]) == (0, 5, 3, True)
    assert MARKER.encode() not in b"".join(message.body for message in site.streams.read())
    site.backup(folder)  # with the tombstone
    if how == "events":
        other.emit(90, 91)
    restored = other.restore(folder)[STREAM]
    assert (restored["how"], restored["restored"], restored["forgotten"]) == (how, 6, 3)
    assert restored["compared"]
    bodies = b"".join(message.body for message in other.streams.read())
    assert MARKER.encode() not in bodies
    assert b'{"id":"main-000003","timestamp"' not in bodies


def test_other_writers_messages_that_were_forgotten_are_not_imported(site: Site, folder: Path) -> None:
    """From an export of before, into the store that it comes from."""
    ids = site.emit(1, 6)
    file = folder.with_name("export.ndjson")
    _forget_foreign(site, ids[2], lambda: site.run("export", "--agent", "*", file))
    ended = site.run("import", file, "--json")
    assert (ended.objects[-1]["added"], ended.objects[-1]["forgotten"]) == (0, 3), ended
    assert MARKER.encode() not in b"".join(message.body for message in site.streams.read())


def _forget_foreign(site: Site, own: str, before: Callable[[], object]) -> None:
    """Let two messages of another writer be forgotten, and one of our own, once something was done."""
    assert site.server is not None
    bodies = ({"payload": {"content": f"{MARKER} 1"}}, {"id": "evt-7", "payload": {"content": f"{MARKER} 2"}})
    for body in bodies:
        stored = json.dumps({"type": "msg.in", **body}).encode()
        write(site.server.url, ("openclaw.events.main.msg_in", stored, None))
    wait_until(lambda: len(shown(site.daemon)) == 8, what="the index has them")
    before()
    with admin(site.daemon) as client:
        answer = client.forget("main", [Selected(own), Selected("", STREAM, 7), Selected("evt-7", STREAM, 8)])
    assert answer["events"] == 3
    wait_forgotten(site.daemon, answer)


def test_secrets_are_left_out_unless_asked_for(site_factory: SiteFactory, folder: Path) -> None:
    """Neither in the configuration nor in any other file; and nobody else may read the folder."""
    secret, filed = "s3cret-in-the-file", "s3cret-in-a-file-of-its-own"
    users = f'users: [{{user: a, password: "{secret}"}}, {{user: tim, password: "{filed}"}}]'
    path = folder.with_name("tim.password")
    path.write_text(filed)
    path.chmod(0o600)
    tim = {"user": "tim", "passwordFile": str(path), "streamName": "tims", "subjectPrefix": "tims"}
    site = site_factory(
        {"config": f"authorization {{ {users} }}"}, user="a", password=secret, agents={"tim": tim}
    )
    site.emit(1, 3)
    site.backup(folder)
    assert not _found(folder, secret, filed)
    assert "secrets" in (folder / "MANIFEST.yml").read_text()
    site.backup(folder, "--with-secrets")
    assert _found(folder, secret)
    assert _found(folder, filed)
    site.backup(folder)  # the next one has none again, and leaves none behind
    assert not _found(folder, secret, filed)
    for entry in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(entry.stat().st_mode)
        assert not mode & 0o077 or entry.is_dir(), entry
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["letters.txt", "config-of-mine.yml", "secrets.txt", "streams/rhine.txt"])
def test_a_folder_with_something_else_is_left_alone(site: Site, folder: Path, name: str) -> None:
    """Whatever it is called; and what is put into a backup later stays, too."""
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("dear")
    ended = site.run("backup", folder)
    assert ended.code == 1
    assert f"holds something else, such as {name}" in ended.err
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / name]
    (folder / name).rename(folder.with_name("aside"))
    site.backup(folder)
    folder.with_name("aside").rename(folder / name)
    site.backup(folder)
    assert (folder / name).read_text() == "dear"


def test_a_folder_without_a_backup_is_no_backup(site: Site, folder: Path) -> None:
    """Loud, and no exit code of success."""
    for command in (("restore", folder), ("backup", folder, "--verify"), ("restore", folder, "--dry-run")):
        ended = site.run(*command)
        assert ended.code == 1
        assert f"there is no backup in {folder}" in ended.err


def test_a_restore_needs_the_daemon(site: Site, folder: Path) -> None:
    site.emit(1, 3)
    site.backup(folder)
    site.daemon.kill()
    assert site.run("restore", folder).code == 3


def _found(folder: Path, *texts: str) -> bool:
    data = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return any(text.encode() in data for text in texts)


def _publish(site: Site, subject: str, message_id: str, body: bytes) -> None:
    import asyncio

    import nats

    async def run() -> None:
        assert site.server is not None
        client = await nats.connect(site.server.url)
        await client.jetstream().publish(subject, body, headers={"Nats-Msg-Id": message_id})
        await client.close()

    asyncio.run(run())
