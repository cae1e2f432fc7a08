"""The folder of the embedded server: its streams, its configuration, its key, and the lock on all that."""

import fcntl
import json
import os
import shutil
import socket
from pathlib import Path

from ..errors import EmbeddedServerError
from ..nkey import new_seed, public_key
from ..secret import Secret

MAX_MEMORY_STORE = 64 * 1024 * 1024  # bytes; eventd has no stream in memory
NO_HURRY = "10m"  # between two syncs, where nothing has to outlive the process
RESERVE = 256 * 1024 * 1024  # bytes of the disk that streams leave to everything else …
RESERVE_SHARE = 20  # … or one part in so many of a small disk

_CONFIG = """\
# Written by eventd at each start of its nats-server: a change here is lost.
server_name: {name}
listen: "127.0.0.1:{port}"
logtime: false
max_payload: {max_payload}
authorization {{ users: [ {{ nkey: {nkey} }} ] }}
jetstream {{
  store_dir: {folder}
  sync_interval: {sync_interval}
  max_memory_store: {max_memory_store}
  max_file_store: {max_file_store}
}}
"""


class StoreFolder:
    """The files of one embedded server. Every method blocks: call them in a worker thread.

    The login is an nkey: the server is told the public half, a client proves that it has the other. So
    nothing can be learnt from the configuration, from `ps`, or by listening on the port while it is free.

    Attributes:
        folder: 0700, like everything below it for us alone.
        config: The server's configuration file.
        nkey: The private key (0600), the same over restarts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "nats.conf"
        self._streams = folder / "jetstream"  # the server adds this name to its store_dir
        self._lock = folder / "lock"
        self._key = folder / "client.nk"
        self._port = folder / "port"
        self.nkey = Secret(path=self._key)

    def lock(self) -> int | None:
        """Take the lock and return its descriptor, or None while another process has it.

        The nats-server inherits the descriptor, so the lock is held for as long as any server runs on
        these streams, whatever became of its daemon.

        Raises:
            EmbeddedServerError: The folder cannot be used.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            held = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.pwrite(held, f"{os.getpid():<10}\n".encode(), 0)
            except BlockingIOError:
                os.close(held)
                return None
            except BaseException:
                os.close(held)
                raise
        except OSError as error:
            raise EmbeddedServerError(
                f"cannot use the folder of the embedded server, {self.folder}: {error}",
                hint="make it writable for the user that runs eventd",
            ) from error
        return held

    def holder(self) -> str:
        """Return the id of the process that took the lock, "unknown" if it left none."""
        try:
            return self._lock.read_text().strip() or "unknown"
        except (OSError, UnicodeDecodeError):
            return "unknown"

    def last_port(self) -> int:
        """Return the port that was chosen last; 0 where none is known."""
        try:
            return int(self._port.read_text())
        except (OSError, ValueError):
            return 0

    def choose_port(self) -> int:
        """Return the port of last time if it is free, else one that is, and remember it."""
        last = self.last_port()
        port = (_free_port(last) if 0 < last < 65536 else None) or _free_port(0)
        if port is None:
            raise EmbeddedServerError("no port of 127.0.0.1 is free")
        if port != last:
            _write(self._port, f"{port}\n")
        return port

    def write_config(self, port: int, max_payload: int, *, durable: bool = True) -> str:
        """Write the server's configuration and return the name that it will give itself.

        Args:
            durable: Whether everything is on disk before it is acknowledged.
        """
        public = self._public_key()
        name = f"eventd-{public[-8:]}"
        self._streams.mkdir(mode=0o700, exist_ok=True)
        text = _CONFIG.format(
            name=name,
            port=port,
            nkey=public,
            folder=json.dumps(str(self.folder), ensure_ascii=False),
            max_payload=max_payload,
            sync_interval="always" if durable else NO_HURRY,
            max_memory_store=MAX_MEMORY_STORE,
            max_file_store=self._room_for_streams(),
        )
        _write(self.config, text)
        return name

    def has_room(self) -> bool:
        """Whether the disk has room for streams to grow again, with some distance to the reserve."""
        try:
            disk = shutil.disk_usage(self.folder)
        except OSError:  # the disk is not even there
            return False
        return disk.free >= 2 * _reserve(disk.total)

    def _room_for_streams(self) -> int:
        """Return how large the streams may become now, in bytes.

        nats-server's own choice, three quarters of what is free at its start, forgets what its streams
        take already: once they fill half of the disk, a restart would leave them no room.
        """
        taken = sum(
            os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - many files, plain strings
            for folder, _, names in os.walk(self._streams)
            for name in names
        )
        disk = shutil.disk_usage(self._streams)
        return taken + max(disk.free - _reserve(disk.total), 1)

    def _public_key(self) -> str:
        """Return the public half of the key; a key is made if there is none."""
        if not self._key.exists():
            _write(self._key, new_seed() + "\n")
        try:
            return public_key(self.nkey.reveal())
        except ValueError as error:
            raise EmbeddedServerError(
                f"{self._key} does not hold an nkey seed", hint="delete it; a new one is made"
            ) from error


def _reserve(total: int) -> int:
    return min(RESERVE, total // RESERVE_SHARE)


def _free_port(port: int) -> int | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not stopped by closed connections
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


def _write(path: Path, text: str) -> None:
    """Replace a file (0600) in one step, so that a full disk or a crash leaves the old one."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
