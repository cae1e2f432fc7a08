"""Plans and makes the change that connects a tool, and the one that undoes it.

A plan looks and changes nothing. To undo, the copy from before comes back, byte for byte, where nobody has
changed the file since; where somebody has, only what is eventd's is taken out.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import paths
from ..errors import EventdError
from . import files
from .claude_code import ClaudeCode
from .codex import Codex
from .model import Advice, CannotConnect, Change, Found, Scope, Surroundings, Tool, Wish
from .openclaw import OpenClaw
from .records import Record, Records, fingerprint

NOTHING = "{}\n"
"""Stands for a file that is not there, or empty."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A tool's file, and what of eventd is in it.

    Attributes:
        found: The tool.
        commands: What of eventd's the file names.
        text: What is in the file.
        problem: Why it cannot be told.
        record: What we have noted about it.
    """

    tool: Tool
    found: Found
    scope: Scope
    file: Path
    commands: Sequence[str] = ()
    text: str = ""
    problem: EventdError | OSError | None = None
    record: Record | None = None


class Connector:
    """Connects tools for one user.

    Args:
        around: Where tools are looked for.
        state: Folder for records and copies.
        data: Folder for the plugin.
    """

    def __init__(self, around: Surroundings, state: Path, data: Path) -> None:
        self.around = around
        self.records = Records(state)
        tools: tuple[Tool, ...] = (ClaudeCode(), Codex(), OpenClaw(data / "openclaw-plugin"))
        self.tools = {tool.name: tool for tool in tools}

    def plan(self, name: str, scope: Scope, wish: Wish) -> Change:
        """Return the change that connects a tool.

        Raises:
            CannotConnect: It is not there, or its file cannot be changed.
        """
        tool = self.tools[name]
        found = tool.find(self.around)
        if scope not in tool.scopes:
            raise CannotConnect(f"{tool.title} is connected for the user, not for a project")
        file = tool.file(self.around, scope)
        if not found.is_there and not file.exists():
            raise CannotConnect(
                f"{tool.title} was not found: there is neither {found.folder} nor its command on the PATH",
                hint="install it and start it once; or name its folder by its own variable",
            )
        before = files.read(file)
        text = files.decode(file, before)
        if not text.strip("\ufeff \t\r\n"):
            text = NOTHING
        try:
            after = tool.connected(text, wish)
        except EventdError as error:
            raise _cannot(file, error) from error
        data = before if after == text and before is not None else after.encode()
        advice = tool.advice(self.around, scope, after, wish)
        notes = [*self._elsewhere(tool, found, scope), *_replaced(tool, text, after), *advice.notes]
        backup = self._without_us(tool, file, before)
        return Change(tool, scope, file, before, data, backup, Advice(advice.todo, notes))

    def make(self, change: Change, wish: Wish) -> Path | None:
        """Make a planned change; return where the copy of the file from before is, if there was one.

        Raises:
            CannotConnect, OSError: It cannot be made; the file is as it was.
        """
        if change.is_needed:
            files.check_writable(change.file)
        with self.records.locked():
            change.tool.install(wish)
            record = self.records.of(change.file)
            if change.is_needed or record is None:
                # The record first: with a copy too many nothing is lost.
                record = self.records.add(
                    change.tool.name, change.scope, change.file, change.backup, change.after or b""
                )
            if change.is_needed:
                files.replace(change.file, change.before, change.after)
            return self.records.backup_path(record)

    def plan_undo(self, name: str | None, scope: Scope | None) -> list[Change]:
        """Return the changes that take eventd out again.

        Args:
            name: Only out of this tool.
            scope: Only of this scope.

        Raises:
            CannotConnect: A file cannot be read.
        """
        changes = []
        for connection in self.connections():
            if name not in (None, connection.tool.name) or scope not in (None, connection.scope):
                continue
            if connection.problem is not None:
                if connection.record is None:
                    continue  # nothing of ours that we know of
                raise _cannot(connection.file, connection.problem) from connection.problem
            if connection.commands or connection.record is not None:
                changes.append(self._undo(connection))
        return changes

    def undo(self, change: Change) -> None:
        """Make such a change.

        Raises:
            CannotConnect, OSError: It cannot be made; the file is as it was.
        """
        if change.is_needed:
            files.check_writable(change.file)
        with self.records.locked():
            if change.is_needed:
                files.replace(change.file, change.before, change.after)
            self.records.forget(change.file, change.after)
            if change.after is None and change.scope is Scope.PROJECT:
                with contextlib.suppress(OSError):  # others keep something in it
                    change.file.parent.rmdir()
            if not any(record.tool == change.tool.name for record in self.records.all()):
                change.tool.uninstall()

    def connections(self) -> Iterator[Connection]:
        """Yield every file in which eventd stands, or would stand: noted ones, and the usual places."""
        places: dict[Path, tuple[Tool, Scope, Record | None]] = {}
        for tool in self.tools.values():
            for scope in tool.scopes:
                places[tool.file(self.around, scope)] = (tool, scope, None)
        for noted in self.records.all():
            if noted.tool in self.tools:
                places[Path(noted.file)] = (self.tools[noted.tool], noted.scope, noted)
        for file, (tool, scope, record) in sorted(places.items(), key=lambda item: self._order(*item[1])):
            yield _look(tool, tool.find(self.around), scope, file, record)

    def _elsewhere(self, tool: Tool, found: Found, scope: Scope) -> Iterator[str]:
        """Yield what there is to say about other places of the tool."""
        for folder in found.others:
            yield f"{tool.title} has another folder, {folder}, which stays as it is"
        for other in tool.scopes:
            file = tool.file(self.around, other)
            if other is not scope and _look(tool, found, other, file, None).commands:
                yield (
                    f"it is connected for the {other} as well ({file}): hooks run twice there, events are "
                    f"stored once; `eventd connect --undo {tool.name} --{other}` ends one of them"
                )

    def _order(self, tool: Tool, scope: Scope, _record: Record | None) -> tuple[int, bool]:
        return list(self.tools).index(tool.name), scope is Scope.PROJECT

    def _without_us(self, tool: Tool, file: Path, before: bytes | None) -> bytes | None:
        """Return what undoing has to bring back: the file as it would be without us."""
        record = self.records.of(file)
        text = files.decode(file, before)
        if before is None or not text.strip("\ufeff \t\r\n"):
            return before
        if not tool.commands(text):
            return before
        backup = None if record is None else self.records.backup_of(record)
        if record is not None and record.after == fingerprint(before):
            return backup
        original = files.decode(file, backup)
        return tool.disconnected(text, original if original.strip() else NOTHING).encode()

    def _undo(self, connection: Connection) -> Change:
        tool, file = connection.tool, connection.file
        before = files.read(file)
        if before is None:
            return Change(tool, connection.scope, file, None, None)
        try:
            after = self._without_us(tool, file, before)
        except EventdError as error:
            raise _cannot(file, error) from error
        return Change(tool, connection.scope, file, before, after)


def here(environ: Mapping[str, str] = os.environ) -> Connector:
    """Return the connector for this user, in the current folder."""
    home = Path("~").expanduser()
    try:
        project = Path.cwd()
    except OSError:  # removed meanwhile
        project = home
    around = Surroundings(home, project, environ)
    return Connector(around, paths.connections_folder(), paths.user_data())


def _look(tool: Tool, found: Found, scope: Scope, file: Path, record: Record | None) -> Connection:
    try:
        text = files.decode(file, files.read(file))
        commands = tool.commands(text) if text.strip("\ufeff \t\r\n") else ()
    except (EventdError, OSError) as error:
        return Connection(tool, found, scope, file, problem=error, record=record)
    return Connection(tool, found, scope, file, commands, text, record=record)


def _replaced(tool: Tool, before: str, after: str) -> Iterator[str]:
    """Yield which other eventd stood there."""
    for old in set(tool.commands(before)) - set(tool.commands(after)):
        yield f"it was connected with another eventd: {old}"


def _cannot(file: Path, error: Exception) -> CannotConnect:
    """Return an error that names the file; nothing in it was changed."""
    text = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
    hint = getattr(error, "hint", "") or "mend the file, then do it again; nothing was changed"
    return CannotConnect(f"{file}: {text}", hint=hint)
