"""The daemon's Unix socket: made where nobody else can put one, taken over only from the dead, cleaned up."""

import errno
import fcntl
import logging
import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import anyio
import anyio.lowlevel

from eventd_ipc.errors import UnsafeSocket
from eventd_ipc.paths import prepare_folder

from ..errors import AlreadyRunning, EventdError
from .peer import Peer, peer_of
from .stream import Stream

logger = logging.getLogger(__name__)

MODE = 0o600  # of the socket
GROUP_MODE = 0o660  # of one that is shared with a group
BACKLOG = 1024  # connections that wait for accept; the kernel lowers it to its own maximum
MAX_PATH = 107 if sys.platform == "linux" else 103  # bytes of sun_path without its final NUL
SHORTAGE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
SHORTAGE_PAUSE = 0.2  # seconds before the next accept when the system is short of something

_NOBODY = frozenset({errno.ECONNREFUSED, errno.ENOENT})  # connect() to a socket that nobody listens on


class ListenError(EventdError):
    """The socket cannot be made; the message says why."""


class Listener:
    """A listening Unix socket.

    Attributes:
        path: Where clients find it; None for a socket that was handed to us.
    """

    def __init__(self, bound: socket.socket, path: Path | None, inode: tuple[int, int] | None) -> None:
        bound.setblocking(False)
        self.path = path
        self._inode = inode
        self._socket = bound

    @classmethod
    def bind(cls, path: Path, mode: int | None = None, group: int | None = None) -> Self:
        """Make the socket, and its folder where that is missing.

        Args:
            mode: Permissions of the socket; None is `MODE`, or `GROUP_MODE` with a group. Folders that are
                made here let the same people through; one that is there is checked, not changed.
            group: Unix group of the socket; None is the daemon's own.

        Raises:
            AlreadyRunning: Somebody answers there; the message names the process.
            ListenError: The folder is not safe, the path too long, or something else is there.
        """
        if len(os.fsencode(path)) > MAX_PATH:
            raise ListenError(
                f"the path of the socket is longer than the {MAX_PATH} bytes that the system allows: {path}",
                hint="choose a shorter one with --socket or EVENTD_SOCKET",
            )
        mode = mode or (MODE if group is None else GROUP_MODE)
        try:
            _prepare_folders(path.parent, mode, group)
            with _locked(path.parent):
                _remove_stale(path)
                bound, inode = _bind(path, mode, group)
            _warn_of_closed_folders(path, mode)
        except UnsafeSocket as error:
            raise ListenError(error.args[0], hint=error.hint) from error
        except OSError as error:
            raise ListenError(
                f"cannot make the socket {path}: {error.strerror}",
                hint="check the folder's owner and permissions, or choose another one with --socket",
            ) from error
        return cls(bound, path, inode)

    @classmethod
    def adopt(cls, bound: socket.socket) -> Self:
        """Listen on a socket that somebody else has bound, and who also removes it (systemd, launchd)."""
        if not bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            bound.listen(BACKLOG)
        return cls(bound, None, None)

    async def accept(self) -> tuple[Stream, Peer | None]:
        """Wait for a client; a shortage of descriptors or memory is waited out."""
        while True:
            await anyio.lowlevel.checkpoint()
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            except ConnectionAbortedError:
                pass  # the client has left the queue already
            except OSError as error:
                if error.errno not in SHORTAGE:
                    raise
                logger.warning(
                    "cannot take a connection: %s", error.strerror, extra={"action": "accept_failed"}
                )
                await anyio.sleep(SHORTAGE_PAUSE)
            else:
                return Stream(connection), _peer_of(connection)

    def close(self) -> None:
        """Remove the socket if it is still ours, and close it. The second time nothing happens."""
        if self.path is not None and self._inode is not None:
            # While it is open its inode's number is not used again, so equal numbers mean our socket.
            with suppress(OSError), _locked(self.path.parent):
                if _inode(self.path) == self._inode:
                    self.path.unlink()
            self._inode = None
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other daemons out between looking at the socket and replacing or removing it (microseconds)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    """Make the way free, but never over somebody who answers, and never over anything but a socket."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ListenError(
            f"{path} is there already and is not a socket",
            hint="move it away, or choose another path with --socket",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        result = probe.connect_ex(os.fspath(path))
        if result == 0:
            raise AlreadyRunning(
                f"eventd is running already: {_holder(probe)} listens on {path}",
                hint="stop it first, or give this one its own socket with --socket",
            )
    if result not in _NOBODY:  # EAGAIN: its queue is full, so somebody has one
        raise AlreadyRunning(
            f"somebody holds the socket {path}: {os.strerror(result)}",
            hint="stop that process first, or give this one its own socket with --socket",
        )
    path.unlink(missing_ok=True)
    logger.info("removed the socket that a daemon left behind", extra={"action": "stale_socket_removed"})


def _prepare_folders(folder: Path, mode: int, group: int | None) -> None:
    """Make what is missing of a socket's folders; those who may use the socket pass through, and no more."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    prepare_folder(folder)
    try:
        for place in made:
            _give_to_group(place, group)
            place.chmod(0o700 | (mode & 0o060 and 0o010) | (mode & 0o006 and 0o001))
    except BaseException:
        for place in made:  # or the next start would take them for somebody's own, and leave them closed
            place.rmdir()
        raise


def _give_to_group(path: Path, group: int | None) -> None:
    if group is None:
        return
    try:
        os.chown(path, -1, group)
    except PermissionError as error:
        raise ListenError(
            f"cannot give {path} to its group: the daemon's user is no member of it (group {group})",
            hint="add the user to the group and log in anew (or restart the service), or change socket.group",
        ) from error


def _warn_of_closed_folders(path: Path, mode: int) -> None:
    """Tell when a folder keeps out those whom the socket would let in."""
    group = path.stat().st_gid
    for folder in path.absolute().parents:
        found = folder.stat()
        if found.st_mode & stat.S_IXOTH:
            continue
        if mode & 0o006:
            remedy = f"chmod o+x {folder}"
        elif mode & 0o060 and not (found.st_gid == group and found.st_mode & stat.S_IXGRP):
            remedy = f"chgrp {group} {folder} && chmod g+x {folder}"
        else:
            continue
        logger.warning(
            "other users cannot reach the socket: they may not pass through the folder %s", folder,
            extra={"action": "socket_out_of_reach", "hint": remedy},
        )  # fmt: skip


def _bind(path: Path, mode: int, group: int | None) -> tuple[socket.socket, tuple[int, int]]:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(os.fspath(path))
        try:
            # Nobody can connect before listen(), so the mode that the umask left does not matter.
            _give_to_group(path, group)
            path.chmod(mode)
            bound.listen(BACKLOG)
            return bound, _inode(path)
        except BaseException:
            path.unlink()
            raise
    except BaseException:
        bound.close()
        raise


def _inode(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _holder(connection: socket.socket) -> str:
    try:
        return str(peer_of(connection))
    except OSError:
        return "a process that cannot be told"


def _peer_of(connection: socket.socket) -> Peer | None:
    try:
        return peer_of(connection)
    except OSError:
        return None  # gone already
