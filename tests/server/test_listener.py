"""The socket itself: who may reach it, whom it replaces, and what is left of it."""

import logging
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from eventd.errors import AlreadyRunning
from eventd.server.listener import MAX_PATH, Listener, ListenError
from eventd.server.peer import Peer
from server.support import PATIENCE, Client, serving
from support.users import FIRST_USER, become, only_root, run_as

pytestmark = pytest.mark.anyio

GROUP = 50_000

BIND = """
import stat, sys
from pathlib import Path
from eventd.server.listener import Listener, ListenError
path = Path(sys.argv[1])
try:
    with Listener.bind(path, group=int(sys.argv[2])):
        print(*(oct(stat.S_IMODE(place.stat().st_mode)) for place in (path, path.parent)))
except ListenError as error:
    print(error)
"""

CONNECT = """
import socket, sys
connection = socket.socket(socket.AF_UNIX)
{become}
connection.connect(sys.argv[1])
sys.stdin.read()
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def leave_stale(path: Path) -> None:
    """Leave what a killed daemon leaves."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_only_the_owner_can_reach_the_socket(short_tmp: Path, umask: int) -> None:
    """Folder 0700, socket 0600, whatever the umask says."""
    before = os.umask(umask)
    try:
        with Listener.bind(short_tmp / "run" / "s"):
            assert mode_of(short_tmp / "run") == 0o700
            assert mode_of(short_tmp / "run" / "s") == 0o600
    finally:
        os.umask(before)


async def test_another_mode_can_be_asked_for(short_tmp: Path) -> None:
    """The system service lets a group in."""
    with Listener.bind(short_tmp / "s", mode=0o660):
        assert mode_of(short_tmp / "s") == 0o660


@only_root
@pytest.mark.parametrize(
    ("mode", "group", "socket_mode", "folder_mode"),
    [
        (None, GROUP, 0o660, 0o710),
        (0o600, GROUP, 0o600, 0o700),
        (0o620, GROUP, 0o620, 0o710),
        (0o666, None, 0o666, 0o711),
        (0o606, None, 0o606, 0o701),
    ],
)
async def test_who_may_use_the_socket_passes_through_the_folders_that_are_made(
    short_tmp: Path, mode: int | None, group: int | None, socket_mode: int, folder_mode: int
) -> None:
    """And does nothing else there; a folder that was there stays as it is."""
    with Listener.bind(short_tmp / "a" / "b" / "s", mode, group):
        for name in ("a", "a/b", "a/b/s"):
            assert (short_tmp / name).stat().st_gid == (group or os.getegid())
        assert mode_of(short_tmp / "a" / "b" / "s") == socket_mode
        assert mode_of(short_tmp / "a") == mode_of(short_tmp / "a" / "b") == folder_mode
    assert mode_of(short_tmp) == 0o700


@only_root
@pytest.mark.parametrize(
    ("group", "mode", "remedy"),
    [
        (0, 0o700, f"chgrp {GROUP}"),
        (GROUP, 0o700, "chmod g+x"),
        (0, 0o750, f"chgrp {GROUP}"),
        (GROUP, 0o710, ""),
        (0, 0o701, ""),
    ],
)
async def test_a_folder_that_keeps_the_group_out_is_told(
    short_tmp: Path, caplog: pytest.LogCaptureFixture, group: int, mode: int, remedy: str
) -> None:
    """The socket's own permissions are of no use then; what would help is said."""
    short_tmp.chmod(0o755)
    (folder := short_tmp / "f").mkdir()
    os.chown(folder, -1, group)
    folder.chmod(mode)
    with Listener.bind(folder / "s", group=GROUP):
        told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [vars(record)["action"] for record in told] == ["socket_out_of_reach"] * bool(remedy)
    assert all(remedy in vars(record)["hint"] for record in told)


@only_root
async def test_a_group_of_which_the_daemon_is_no_member_is_refused(short_tmp: Path) -> None:
    """Nothing is left behind: the next start, as a member, makes folder and socket as they ought to be."""
    os.chown(short_tmp, FIRST_USER, FIRST_USER)
    short_tmp.chmod(0o711)
    refused = run_as(BIND, short_tmp / "f" / "s", GROUP, uid=FIRST_USER)
    assert f"no member of it (group {GROUP})" in refused
    assert not list(short_tmp.iterdir())
    (short_tmp / "f").mkdir()
    os.chown(short_tmp / "f", FIRST_USER, FIRST_USER)
    run_as(BIND, short_tmp / "f" / "s", GROUP, uid=FIRST_USER)
    assert not list((short_tmp / "f").iterdir())
    (short_tmp / "f").rmdir()
    assert run_as(BIND, short_tmp / "f" / "s", GROUP, uid=FIRST_USER, groups=(GROUP,)) == "0o660 0o710\n"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
async def test_a_folder_that_others_can_write_to_is_refused(short_tmp: Path, mode: int) -> None:
    """Somebody else could put their own socket there; nothing is changed, and the message names it."""
    folder = short_tmp / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ListenError, match=str(folder)) as caught:
        Listener.bind(folder / "s")
    assert caught.value.hint
    assert mode_of(folder) == mode
    assert not list(folder.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
async def test_a_folder_of_another_user_is_refused(short_tmp: Path) -> None:
    """Its owner could replace the socket."""
    folder = short_tmp / "theirs"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, -1)
    with pytest.raises(ListenError, match="12345"):
        Listener.bind(folder / "s")


async def test_a_stale_socket_is_replaced(short_tmp: Path) -> None:
    """After a crash the next daemon starts by itself."""
    leave_stale(short_tmp / "s")
    async with serving(short_tmp) as running, await running.client():
        pass


async def test_a_second_server_is_refused_and_told_who_is_first(short_tmp: Path) -> None:
    """The first one is named by its pid and is not disturbed."""
    async with serving(short_tmp) as running:
        with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()} ") as caught:
            Listener.bind(running.path)
        assert caught.value.hint
        async with await running.client():
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue looks like no listener")
async def test_a_server_that_is_too_busy_to_answer_is_still_running(short_tmp: Path) -> None:
    """A full queue refuses the dial, but somebody must be there to have one."""
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(short_tmp / "s"))
        busy.listen(0)
        waiting.connect(str(short_tmp / "s"))
        with pytest.raises(AlreadyRunning):
            Listener.bind(short_tmp / "s")


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
async def test_only_a_socket_is_ever_removed(short_tmp: Path, kind: str) -> None:
    """A mistyped path costs nobody their file."""
    path = short_tmp / "s"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        leave_stale(short_tmp / "target")
        path.symlink_to(short_tmp / "target")
    before = path.lstat()
    with pytest.raises(ListenError, match="not a socket"):
        Listener.bind(path)
    assert path.lstat() == before


async def test_a_path_that_is_too_long_is_refused_in_words(short_tmp: Path) -> None:
    """The longest path that the system takes works; one byte more says why not."""
    longest = short_tmp / ("x" * (MAX_PATH - len(os.fsencode(short_tmp)) - 1))
    with Listener.bind(longest):
        assert longest.is_socket()
    with pytest.raises(ListenError, match=str(MAX_PATH)):
        Listener.bind(longest.with_name(longest.name + "x"))


async def test_closing_removes_the_socket(short_tmp: Path) -> None:
    """Clients of a stopped daemon see that there is none; closing twice is harmless."""
    listener = Listener.bind(short_tmp / "s")
    listener.close()
    assert not (short_tmp / "s").exists()
    leave_stale(short_tmp / "s")
    listener.close()
    assert (short_tmp / "s").exists()


async def test_closing_leaves_the_socket_of_another_daemon(short_tmp: Path) -> None:
    """Only the inode that we made is removed."""
    path = short_tmp / "s"
    first = Listener.bind(path)
    path.unlink()
    with Listener.bind(path):
        first.close()
        assert path.is_socket()
    assert not path.exists()


async def test_a_socket_that_was_handed_over_is_left_to_its_owner(short_tmp: Path) -> None:
    """systemd and launchd bind the socket, and keep it over restarts."""
    path = short_tmp / "s"
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(path))
    with Listener.adopt(bound) as listener:
        async with await Client.connect(path):
            stream, peer = await listener.accept()
            stream.close()
            assert peer is not None
    assert path.is_socket()


async def test_the_peer_is_known(short_tmp: Path) -> None:
    """The kernel says which process of which user has connected."""
    with Listener.bind(short_tmp / "s") as listener:
        async with await Client.connect(short_tmp / "s"):
            stream, peer = await listener.accept()
            stream.close()
    assert peer == Peer(os.getpid(), os.geteuid(), frozenset({os.getegid(), *os.getgroups()}))


@only_root
@pytest.mark.parametrize("count", [1, 33, 200])
async def test_all_groups_of_the_peer_are_known(short_tmp: Path, count: int) -> None:
    """Also the supplementary ones of somebody who has many of them."""
    short_tmp.chmod(0o711)
    groups = tuple(range(FIRST_USER, FIRST_USER + count))
    code = CONNECT.format(become=become(FIRST_USER, GROUP, groups, load=False))
    with Listener.bind(short_tmp / "s", mode=0o666) as listener:
        command = [sys.executable, "-c", code, str(short_tmp / "s")]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as child, anyio.fail_after(PATIENCE):
            stream, peer = await listener.accept()
            stream.close()
    assert peer == Peer(child.pid, FIRST_USER, frozenset({GROUP, *groups}))
