"""Who is at the other end of a Unix socket, as the kernel says it."""

import socket
import struct
import sys
from dataclasses import dataclass

_PEERGROUPS = 59  # Linux: SO_PEERGROUPS of <asm-generic/socket.h>, since 4.13; Python has no name for it
_GROUPS_SIZE = 1024  # bytes, of 256 groups; Python's getsockopt takes no more
_UCRED = struct.Struct("=iII")  # Linux: struct ucred {pid, uid, gid}
_SOL_LOCAL = 0  # macOS: <sys/un.h>
_LOCAL_PEERCRED = 0x001
_LOCAL_PEERPID = 0x002
_XUCRED = struct.Struct("=IIh2x16I")  # macOS: struct xucred {version, uid, ngroups, groups}
_PID = struct.Struct("=i")


@dataclass(frozen=True, slots=True)
class Peer:
    """A process and its user, as they were when the connection was made (or the socket began to listen).

    Attributes:
        gids: All its groups, the supplementary ones too; of more than 256 only its own.
    """

    pid: int
    uid: int
    gids: frozenset[int]

    def __str__(self) -> str:
        return f"pid {self.pid} (uid {self.uid})"


if sys.platform == "linux":

    def peer_of(connection: socket.socket) -> Peer:
        """Return who is at the other end of a connected socket.

        Raises:
            OSError: The kernel does not say.
        """
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, gid = _UCRED.unpack(credentials)
        return Peer(pid, uid, frozenset((gid, *_groups(connection))))

    def _groups(connection: socket.socket) -> tuple[int, ...]:
        """Return the supplementary groups; none where the kernel is too old to say, or there are too many."""
        try:
            data = connection.getsockopt(socket.SOL_SOCKET, _PEERGROUPS, _GROUPS_SIZE)
        except OSError:
            return ()
        return struct.unpack(f"={len(data) // 4}I", data)

else:

    def peer_of(connection: socket.socket) -> Peer:
        """Return who is at the other end of a connected socket.

        Raises:
            OSError: The kernel does not say.
        """
        credentials = _XUCRED.unpack(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size))
        (pid,) = _PID.unpack(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID, _PID.size))
        return Peer(pid, credentials[1], frozenset(credentials[3 : 3 + credentials[2]]))
