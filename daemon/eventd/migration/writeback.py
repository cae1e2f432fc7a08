"""Writes stored files into a folder: the way out."""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import EventdError
from .state import State, StoredFile, StoredWorkspace
from .stored import Incomplete, Spool, join
from .walk import shown

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client

FILE_MODE, FOLDER_MODE = 0o600, 0o700  # memories are private


class TargetNotEmpty(EventdError):
    """There is something in the folder, or it is none."""


class Written(NamedTuple):
    """What became of a file.

    Attributes:
        problem: Why it was not written; "" where it was.
    """

    path: str
    size: int
    problem: str = ""


def prepare(target: Path) -> None:
    """Make the folder that files are written into.

    Raises:
        TargetNotEmpty: Something could be overwritten.
    """
    try:
        target.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        empty = not any(target.iterdir())
    except (FileExistsError, NotADirectoryError):
        empty = False
    if not empty:
        raise TargetNotEmpty(f"{target} is no empty folder", hint="name one that is new or empty")


def write_back(client: "Client", agent: str, state: State, target: Path) -> Iterator[Written]:
    """Write every file as its newest events have it; of several workspaces each into a folder of its own."""
    leads = [file.lead for workspace in state.workspaces.values() for file in workspace.files.values()]
    wanted = {event_id for lead in leads if lead is not None for event_id in (lead.id, *lead.sections)}
    with tempfile.TemporaryFile() as held:
        spool = Spool(held)
        spool.fill(client, agent, wanted)
        names: set[str] = set()
        for workspace in state.workspaces.values():
            folder = target / _name(workspace, names) if len(state.workspaces) > 1 else target
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            for file in sorted(workspace.files.values(), key=lambda file: file.path):
                yield _written(file, spool, os.fsencode(folder))


def _written(file: StoredFile, spool: Spool, folder: bytes) -> Written:
    path = shown(file.path)
    if (lead := file.lead) is None:
        return Written(path, 0, "its first event is not stored")
    try:
        joined = join(file, lead, spool.get)
        if sha256(joined.data).hexdigest() != joined.sha256:
            raise Incomplete("its bytes are not those that it had")
        _write(folder, file.path, joined.data)
    except (Incomplete, ValueError) as error:
        return Written(path, 0, str(error))
    except OSError as error:
        return Written(path, 0, os.strerror(error.errno or 0))
    return Written(path, len(joined.data))


def _name(workspace: StoredWorkspace, names: set[str]) -> str:
    """Return a name for a workspace's folder that no other has."""
    _, last = next(reversed(workspace.places), ("", ""))
    name = re.sub(r"[^\w.-]+", "_", Path(last).name).strip(".") or "workspace"
    name = name if name not in names else f"{name}-{workspace.name or 'first'}"
    names.add(name)
    return name


def _write(folder: bytes, path: bytes, data: bytes) -> None:
    """Write a file below a folder, and nowhere else.

    Every folder is opened by its name in the one above, and no link is followed.

    Raises:
        ValueError: The path leads out of the folder.
    """
    *folders, name = path.split(b"/")
    if not all(part not in (b"", b".", b"..") and b"\0" not in part for part in (*folders, name)):
        raise ValueError("its path leads elsewhere")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(folder, flags & ~os.O_NOFOLLOW)
    try:
        for part in folders:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, FOLDER_MODE, dir_fd=fd)
            below = os.open(part, flags, dir_fd=fd)
            os.close(fd)
            fd = below
        created = os.open(
            name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE, dir_fd=fd
        )
        with os.fdopen(created, "wb") as file:
            file.write(data)
    finally:
        os.close(fd)
