"""Changes are seen, by the system's word or without it, and believed once the files rest."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from eventd.reload import watch as module
from eventd.reload.files import Digests
from eventd.reload.watch import Watch

pytestmark = pytest.mark.anyio

PATIENCE = 20.0  # seconds; a bound against hanging


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "folder" / "file"
    file.parent.mkdir()
    file.write_text("one")
    return file


class Looks:
    """What a watch has seen."""

    def __init__(self) -> None:
        self.last: Digests = {}
        self.count = 0

    async def note(self, found: Digests) -> None:
        self.last = found
        self.count += 1

    async def until(self, wanted: Digests) -> None:
        with anyio.fail_after(PATIENCE):
            while self.last != wanted:
                await anyio.sleep(0.01)


@asynccontextmanager
async def watching(watch: Watch) -> AsyncIterator[Looks]:
    looks = Looks()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch.run, looks.note)
        yield looks
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("by_itself", [False, True], ids=["told", "by itself"])
async def test_a_change_is_seen(file: Path, by_itself: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not tell of changes, the files are looked at all the same."""
    if by_itself:

        def awatch(*_: object, **__: object) -> None:
            raise OSError("inotify watch limit reached")

        monkeypatch.setattr(module, "awatch", awatch)
    watch = Watch(lambda: (file,))
    async with watching(watch) as looks:
        for text in ("two", "three"):
            file.write_text(text)
            await looks.until(await Watch(lambda: (file,)).look())
        file.unlink()
        await looks.until({file: "No such file or directory"})
        file.parent.rmdir()
        file.parent.mkdir()
        file.write_text("four")
        await looks.until(await Watch(lambda: (file,)).look())


async def test_other_files_count_when_the_configuration_says_so(file: Path, tmp_path: Path) -> None:
    files = [file]
    other = tmp_path / "elsewhere" / "other"
    other.parent.mkdir()
    other.write_text("1")
    async with watching(Watch(lambda: files)) as looks:
        files.append(other)
        other.write_text("2")
        await looks.until(await Watch(lambda: (file, other)).look())


async def test_a_file_that_was_there_is_waited_for(file: Path) -> None:
    """An editor has moved it away and is about to write another one."""
    watch = Watch(lambda: (file,))
    before = await watch.look()
    file.unlink()
    settled: list[Digests] = []

    async def settle() -> None:
        settled.append(await watch.settle(before))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(settle)
            await anyio.wait_all_tasks_blocked()
            assert not settled
            file.write_text("two")
    assert settled == [await watch.look()]


async def test_a_file_that_stays_away_is_believed_to_be_gone(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLE_TIMEOUT", 0.3)
    watch = Watch(lambda: (file,))
    before = await watch.look()
    file.unlink()
    assert await watch.settle(before) == {file: "No such file or directory"}


async def test_a_watch_ends_at_once(file: Path) -> None:
    """It waits in a thread that must not hold up the end of the daemon: a look in between would show that."""
    async with watching(Watch(lambda: (file,))) as looks:
        with anyio.fail_after(PATIENCE):
            while not looks.count:
                await anyio.sleep(0.01)
    seen = looks.count
    await anyio.lowlevel.checkpoint()
    assert looks.count == seen
