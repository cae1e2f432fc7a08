"""Other Unix users: what a process needs to become one, in tests that root runs."""

import os
import subprocess
import sys

import pytest

TIMEOUT = 60.0  # seconds until a process must have ended; a bound against hanging

FIRST_USER = 61_000
"""Users and groups from here on are nobody's on any machine that tests run on."""

only_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root can run processes of other users"
)

_PRELOAD = """
import importlib, os, pkgutil
import anyio._backends._asyncio, concurrent.futures.thread, encodings.idna, platformdirs.unix, uvloop
import eventd, eventd_ipc
for package in (eventd, eventd_ipc):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
"""


def become(uid: int, gid: int | None = None, groups: tuple[int, ...] = (), *, load: bool = True) -> str:
    """Return Python that turns its process into one of another user.

    Args:
        gid: Its group; the number of the user when absent.
        groups: Its supplementary groups.
        load: Load all of eventd before: the interpreter may lie where the other user cannot look.
    """
    gid = uid if gid is None else gid
    return (
        f"{_PRELOAD if load else 'import os'}\n"
        f"os.setgroups({list(groups)}); os.setgid({gid}); os.setuid({uid})\n"
        f"os.environ['HOME'] = '/nonexistent'\n"
    )


def run_as(code: str, *args: object, uid: int, gid: int | None = None, groups: tuple[int, ...] = ()) -> str:
    """Run Python as another user, and return what it printed, its errors too."""
    done = subprocess.run(
        [sys.executable, "-c", become(uid, gid, groups) + code, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
        text=True,
        check=False,
    )
    return done.stdout
