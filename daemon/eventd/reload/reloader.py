"""Loads the configuration anew, and has it take effect if it can be used. A bad file changes nothing."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from ..config.problems import ROOT, dotted
from ..config.settings import Config
from ..errors import ConfigError
from .changes import NEEDS_RESTART, Change, as_far_as_possible, changes_between
from .files import Digests
from .status import ReloadStatus, now_ms
from .watch import Watch

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

logger = logging.getLogger(__name__)

RETRY_INTERVAL = 5.0  # seconds until a bad file is tried again: what it names may be there now

Load = Callable[[Path | None], Config]
"""Reads the configuration of a file, or where there was none, of the one that is found now.

Raises:
    ConfigError: It cannot be used.
"""
Apply = Callable[[Config, Config, frozenset[Path]], Awaitable[None]]
"""Has a configuration take effect in place of another one; told which servers' files hold something else."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of loading the configuration anew.

    Attributes:
        changes: What took effect.
        needs_restart: What will only after a restart.
        files: Files of servers that hold something else; connections were made anew.
        error: Why the file could not be used, and nothing has changed.
    """

    changes: list[Change] = field(default_factory=list)
    needs_restart: list[Change] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    error: ConfigError | None = None


class Reloader:
    """Knows the configuration in force, and replaces it.

    Args:
        config: The one that the daemon has started with.
        load: Reads it anew.
        apply: Has it take effect.
        candidates: Where a file may appear while there is none.

    Attributes:
        config: The one in force.
        status: A live view; copy it to keep it.
        last: What differed when the one in force took effect; empty for the one of the start.
    """

    def __init__(
        self,
        config: Config,
        load: Load,
        apply: Apply,
        candidates: tuple[Path, ...] = (),
        status: ReloadStatus | None = None,
    ) -> None:
        self.config = config
        self.status = status or ReloadStatus()
        self.last: list[Change] = []
        self._load = load
        self._apply = apply
        self._candidates = candidates
        self._one_at_a_time = anyio.Lock()
        self._watch = Watch(self._files)
        self._seen: Digests = {}  # what the files held when the configuration was loaded last
        self._used: Digests = {}  # what they held when it was last in order: the servers' are read to connect
        self._tried_at = 0.0
        self._tasks: TaskGroup | None = None

    async def reload(self, why: str, *, asked: bool = False) -> Outcome:
        """Load the configuration, and let it take effect.

        While `run` runs it is done to its end, also where whoever has asked for it does not wait so long:
        half of a configuration must not be in force.

        Args:
            why: For the log.
            asked: Whether somebody waits for it; then also what is not new is logged.
        """
        if self._tasks is None:
            return await self._next(why, asked)
        outcomes: list[Outcome] = []
        done = anyio.Event()

        async def work() -> None:
            outcomes.append(await self._next(why, asked))
            done.set()

        self._tasks.start_soon(work, name="reload")
        await done.wait()
        return outcomes[0]

    async def _next(self, why: str, asked: bool) -> Outcome:
        async with self._one_at_a_time:
            return await self._reload(why, asked)

    def undisturbed(self) -> anyio.Lock:
        """Return what keeps the configuration as it is while somebody holds it."""
        return self._one_at_a_time

    async def run(self) -> None:
        """Reload whenever the config file, or a file that it names, holds something else, until cancelled.

        A file that is none (a pipe, say) is left alone: reading it again would give something else, or hang.
        """
        if self.config.source is not None and _is_no_file(self.config.source):
            logger.warning(
                "the configuration was read from %s, which is no regular file, and is not watched",
                self.config.source, extra={"action": "config_not_watched"},
            )  # fmt: skip
            await anyio.sleep_forever()
        self._seen = self._used = await self._watch.look()
        async with anyio.create_task_group() as self._tasks:
            await self.reload("the start")  # it may have changed since it was read
            await self._watch.run(self._look)

    async def _look(self, found: Digests) -> None:
        if found != self._seen:
            await self._watch.settle(self._seen)
            await self.reload("a file has changed")
        elif self.status.error is not None and time.monotonic() - self._tried_at > RETRY_INTERVAL:
            await self.reload("the last attempt failed")

    async def _reload(self, why: str, asked: bool) -> Outcome:
        found = self._seen = await self._watch.look()  # before loading: a later change is seen as one
        self._tried_at = time.monotonic()
        try:
            wanted = await anyio.to_thread.run_sync(self._load_file)
        except ConfigError as error:
            self._note_error(error, why, asked)
            return Outcome(error=error)
        touched = frozenset(file for file in self._server_files() if self._used.get(file) != found.get(file))
        config = as_far_as_possible(self.config, wanted)
        changes = changes_between(self.config, config)
        waiting = [change for change in changes_between(config, wanted) if change.key in NEEDS_RESTART]
        if touched or replace(config, warnings=()) != replace(self.config, warnings=()):
            await self._apply(self.config, config, touched)
            self.status.generation += 1
            self.status.loaded_at = now_ms()
            self.last = changes
        self.config = config
        outcome = Outcome(changes, waiting, sorted(touched), wanted.warnings)
        self._note_success(outcome, why, asked)
        # Other files may count now. Of the ones that did before, what was there when they were read.
        self._seen = {file: found.get(file, now) for file, now in (await self._watch.look()).items()}
        self._used = self._seen
        return outcome

    def _load_file(self) -> Config:
        """Load what is there now.

        Raises:
            ConfigError: It cannot be used, or must not be in place of the configuration in force.
        """
        source = self.config.source
        if source is not None and _is_no_file(source):
            raise ConfigError(
                f"{source} is no regular file, so what it says can only be read once, at the start",
                hint="put the configuration into a file, to change it while eventd runs",
            )
        wanted = self._load(source)
        if self.config.in_file and not wanted.in_file:
            raise ConfigError(
                f"{wanted.source} has no {dotted(ROOT)} any more, as when a file is written in place",
                hint="write the new file beside it and rename that; to go by the defaults, restart eventd",
            )
        return wanted

    def _note_error(self, error: ConfigError, why: str, asked: bool) -> None:
        if asked or str(error) != self.status.error:
            logger.error(
                "the configuration cannot be used, the one before stays in force: %s", error,
                extra={"action": "config_rejected", "why": why, "hint": error.hint},
            )  # fmt: skip
        if str(error) != self.status.error:
            self.status.error, self.status.error_at = str(error), now_ms()

    def _note_success(self, outcome: Outcome, why: str, asked: bool) -> None:
        status = self.status
        was_bad = status.error is not None
        status.error = status.error_at = None
        parts = [*map(str, outcome.changes), *(f"{file} holds something else" for file in outcome.files)]
        if parts:
            logger.info(
                "configuration %d is in force: %s", status.generation, "; ".join(parts),
                extra={"action": "config_reloaded", "why": why, "generation": status.generation},
            )  # fmt: skip
            for warning in outcome.warnings:
                logger.warning("%s", warning, extra={"action": "config_warning"})
        elif was_bad or asked:
            logger.info("the configuration is as it was", extra={"action": "config_unchanged", "why": why})
        needs = [str(change) for change in outcome.needs_restart]
        for need in needs:
            if need not in status.needs_restart:
                extra = {"action": "config_needs_restart"}
                logger.warning("needs a restart to take effect: %s", need, extra=extra)
        status.needs_restart = needs

    def _files(self) -> tuple[Path, ...]:
        source = (self.config.source,) if self.config.source is not None else self._candidates
        return (*source, *sorted(self._server_files()))

    def _server_files(self) -> frozenset[Path]:
        return frozenset[Path]().union(*(route.server.files for route in self.config.routes.all()))


def _is_no_file(path: Path) -> bool:
    """Whether something is there that cannot be read again and again."""
    return path.exists() and not path.is_file()
