"""A configuration takes effect as a whole or not at all."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from eventd.config.load import load_config, load_file
from eventd.config.settings import Config
from eventd.reload import reloader as module
from eventd.reload.reloader import Reloader

pytestmark = pytest.mark.anyio

PATIENCE = 20.0  # seconds; a bound against hanging


@dataclass
class Place:
    """A config file, and what was applied of it."""

    file: Path
    applied: list[tuple[Config, frozenset[Path]]] = field(default_factory=list)

    def write(self, **settings: Any) -> None:
        self.file.write_text(yaml.safe_dump({"gateway": {"eventStore": settings}}))

    async def apply(self, _before: Config, config: Config, touched: frozenset[Path]) -> None:
        self.applied.append((config, touched))

    def reloader(self) -> Reloader:
        return Reloader(load_file(self.file), lambda source: load_file(source or self.file), self.apply)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "config.yml")
    place.write()
    return place


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():
            await anyio.sleep(0.01)


async def test_nothing_new_is_not_applied(place: Place) -> None:
    reloader = place.reloader()
    place.file.write_text(place.file.read_text() + "# a remark\n")
    outcome = await reloader.reload("test")
    assert (outcome.changes, outcome.error, place.applied) == ([], None, [])
    assert reloader.status.generation == 1


async def test_what_is_new_is_applied_once(place: Place) -> None:
    reloader = place.reloader()
    place.write(enabled=False)
    assert [str(change) for change in (await reloader.reload("test")).changes] == ["enabled: true → false"]
    assert (await reloader.reload("test")).changes == []
    [(config, touched)] = place.applied
    assert config == reloader.config
    assert (config.enabled, touched, reloader.status.generation) == (False, frozenset(), 2)


async def test_a_bad_file_changes_nothing(place: Place) -> None:
    """Until it is right again; the time of the error is that of the first look at it."""
    reloader = place.reloader()
    before = reloader.config
    place.file.write_text("gateway:\n  eventStore:\n    enabledd: true\n")
    outcome = await reloader.reload("test")
    assert f"{place.file}:3: gateway.eventStore.enabledd: unknown key" in str(outcome.error)
    assert (reloader.config, place.applied) == (before, [])
    first = reloader.status.error_at
    await reloader.reload("test")
    assert (reloader.status.error, reloader.status.error_at) == (str(outcome.error), first)
    place.write()
    await reloader.reload("test")
    assert (reloader.status.error, reloader.status.error_at, reloader.status.generation) == (None, None, 1)


async def test_what_needs_a_restart_is_told_until_it_is_taken_back(place: Place, tmp_path: Path) -> None:
    reloader = place.reloader()
    place.write(dataDir=str(tmp_path / "other"))
    outcome = await reloader.reload("test")
    assert [change.key for change in outcome.needs_restart] == ["embedded.storeDir", "dataDir"]
    assert (place.applied, len(reloader.status.needs_restart)) == ([], 2)
    place.write(dataDir=str(tmp_path / "other"), enabled=False)
    assert len((await reloader.reload("test")).changes) == 1
    assert len(reloader.status.needs_restart) == 2
    place.write()
    await reloader.reload("test")
    assert reloader.status.needs_restart == []


async def test_a_file_with_a_password_holds_another_one(place: Place, tmp_path: Path) -> None:
    """The configuration is the same; who logs in by the file has to do so anew."""
    secret = tmp_path / "password"
    secret.write_text("one")
    place.write(url="nats://127.0.0.1:1", user="u", passwordFile=str(secret))
    reloader = place.reloader()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reloader.run)
        await until(lambda: reloader._seen)
        secret.write_text("two")
        await until(lambda: place.applied)
        tasks.cancel_scope.cancel()
    assert place.applied == [(reloader.config, frozenset({secret}))]
    assert reloader.status.generation == 2


async def test_an_empty_password_file_is_a_bad_configuration(place: Place, tmp_path: Path) -> None:
    """As it is while somebody writes it: the connection that there is stays."""
    secret = tmp_path / "password"
    secret.write_text("one")
    place.write(url="nats://127.0.0.1:1", user="u", passwordFile=str(secret))
    reloader = place.reloader()
    secret.write_text("")
    assert "is empty" in str((await reloader.reload("test")).error)
    assert place.applied == []


async def test_what_a_bad_file_names_may_come_later(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody tells of a file that is not one of ours yet."""
    monkeypatch.setattr(module, "RETRY_INTERVAL", 0.05)
    reloader = place.reloader()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reloader.run)
        place.write(url="nats://127.0.0.1:1", user="u", passwordFile=str(tmp_path / "password"))
        await until(lambda: reloader.status.error)
        (tmp_path / "password").write_text("one")
        await until(lambda: place.applied and not reloader.status.error)
        tasks.cancel_scope.cancel()


async def test_a_change_between_loading_and_watching_is_seen(place: Place) -> None:
    reloader = place.reloader()
    place.write(enabled=False)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reloader.run)
        await until(lambda: place.applied)
        tasks.cancel_scope.cancel()


async def test_a_file_appears_where_there_was_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`eventd init` beside a daemon that runs by the defaults; when it goes again, that is told."""
    file = tmp_path / "etc" / "config.yml"
    monkeypatch.setattr("eventd.paths.config_candidates", lambda: [file])
    place = Place(file)

    def load(source: Path | None) -> Config:
        return load_config(source, {})

    reloader = Reloader(load(None), load, place.apply, (file,))
    assert not reloader.config.source
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reloader.run)
        await until(lambda: reloader._seen)
        file.parent.mkdir()
        place.write(enabled=False)
        await until(lambda: place.applied)
        assert reloader.config.source == file
        file.unlink()
        await until(lambda: reloader.status.error)
        assert not reloader.config.enabled
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("text", ["", "\n", "# all gone\n", "gateway:\n", "other: 1\n"])
async def test_a_file_without_a_part_of_ours_is_not_believed(place: Place, text: str) -> None:
    """It is being written, or the disk is full: no reason to do without routes and rules."""
    place.write(enabled=False)
    reloader = place.reloader()
    place.file.write_text(text)
    assert "has no gateway.eventStore any more" in str((await reloader.reload("test")).error)
    assert not reloader.config.enabled
    place.write()
    assert (await reloader.reload("test")).error is None
    assert reloader.config.enabled


async def test_where_there_never_was_a_part_of_ours_others_may_change_the_file(place: Place) -> None:
    place.file.write_text("other: 1\n")
    reloader = place.reloader()
    place.file.write_text("other: 2\n")
    assert (await reloader.reload("test")).error is None
    place.write(enabled=False)
    assert len((await reloader.reload("test")).changes) == 1


async def test_a_pipe_is_read_once(place: Place) -> None:
    """`--config <(...)`: there is nothing to watch, and nothing to load anew."""
    reloader = place.reloader()
    place.file.unlink()
    os.mkfifo(place.file)
    assert "no regular file" in str((await reloader.reload("test")).error)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reloader.run)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert place.applied == []


async def test_whoever_asks_may_leave(place: Place) -> None:
    """What was begun is done: half of a configuration is in force at no time."""
    begun, go_on = anyio.Event(), anyio.Event()

    async def apply(_before: Config, config: Config, touched: frozenset[Path]) -> None:
        begun.set()
        await go_on.wait()
        await place.apply(_before, config, touched)

    reloader = Reloader(load_file(place.file), lambda source: load_file(source or place.file), apply)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reloader.run)
        await until(lambda: reloader._tasks)
        async with anyio.create_task_group() as asking:
            place.write(enabled=False)
            asking.start_soon(reloader.reload, "test")
            await begun.wait()
            asking.cancel_scope.cancel()
        assert reloader.config.enabled
        go_on.set()
        await until(lambda: not reloader.config.enabled)
        tasks.cancel_scope.cancel()
    assert len(place.applied) == 1


async def test_a_password_that_came_with_a_bad_file_is_used_once_that_is_mended(
    place: Place, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("one")
    good = {"url": "nats://127.0.0.1:1", "user": "u", "passwordFile": str(secret)}
    place.write(**good)
    reloader = place.reloader()
    reloader._used = reloader._seen = await reloader._watch.look()
    secret.write_text("two")
    place.write(**good, odd=1)
    assert (await reloader.reload("test")).error is not None
    place.write(**good)
    assert (await reloader.reload("test")).files == [secret]


async def test_one_at_a_time(place: Place) -> None:
    """Two that are asked for at once do not mix."""
    under_way = most = 0

    async def apply(_before: Config, _config: Config, _touched: frozenset[Path]) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await anyio.sleep(0.01)
        place.write(enabled=len(str(most)) > 5)
        under_way -= 1

    reloader = Reloader(load_file(place.file), lambda source: load_file(source or place.file), apply)
    place.write(enabled=False)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(reloader.reload, "test")
    assert most == 1
