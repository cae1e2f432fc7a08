"""Who is at the other end of a Unix socket, as the kernel says it."""

import socket
import struct
import sys
from dataclasses import dataclass

_UCRED = struct.Struct("=iII")  # Linux: struct ucred {pid, uid, gid}
_SOL_LOCAL = 0  # macOS: <sys/un.h>
_LOCAL_PEERCRED = 0x001
_LOCAL_PEERPID = 0x002
_XUCRED = struct.Struct("=IIh2x16I")  # macOS: struct xucred {version, uid, ngroups, groups}
_PID = struct.Struct("=i")


@dataclass(frozen=True, slots=True)
class Peer:
    """A process and its user, as they were when the connection was made (or the socket began to listen)."""

    pid: int
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"pid {self.pid} (uid {self.uid})"


if sys.platform == "linux":

    def peer_of(connection: socket.socket) -> Peer:
        """Return who is at the other end of a connected socket.

        Raises:
            OSError: The kernel does not say.
        """
        return Peer(*_UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))

else:

    def peer_of(connection: socket.socket) -> Peer:
        """Return who is at the other end of a connected socket.

        Raises:
            OSError: The kernel does not say.
        """
        credentials = _XUCRED.unpack(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size))
        (pid,) = _PID.unpack(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID, _PID.size))
        return Peer(pid, uid=credentials[1], gid=credentials[3])
