"""Start a program that must not outlive the one that wanted it. Run as a script; imports nothing of eventd.

    guard.py exec PARENT -- PROGRAM ARG…    become the program, tied to PARENT by the kernel (Linux)
    guard.py watch FD -- PROGRAM ARG…       run the program; end it at the end of file of FD (elsewhere)

Either way the program ends by SIGKILL, not SIGTERM: only that is certain, also for a program that is frozen
or hangs, and only what certainly ends frees the store for the next daemon. For the store it is like a power
cut, which it has to survive anyway; `sync_interval: always` sees to it.
"""

import os
import signal
import sys
import threading
from typing import NoReturn

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
ORPHANED = 75  # exit status when the parent was gone before the program began

RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores these, and ignored signals are inherited


def become(parent: int, command: list[str]) -> NoReturn:
    """Replace this process by the program, which the kernel kills when `parent`'s starting thread ends."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before the kernel knew of the tie
        sys.exit(ORPHANED)
    for number in RESTORED:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


def watch(liveness: int, command: list[str]) -> NoReturn:
    """Run the program until it ends, or until nobody holds the other end of the pipe `liveness`.

    SIGTERM is passed on. Ends as the program did: with its status, or by its signal.
    """
    os.set_inheritable(liveness, False)
    # Held back until the program's id is known, so that a stop right after the start is not lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        program = os.posix_spawn(command[0], command, os.environ, setsigdef=RESTORED, setsigmask=[])
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")

    def end_with_parent() -> None:
        while os.read(liveness, 1):
            pass
        os.kill(program, signal.SIGKILL)

    signal.signal(signal.SIGTERM, lambda *_: os.kill(program, signal.SIGTERM))
    threading.Thread(target=end_with_parent, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    _, status = os.waitpid(program, 0)
    if os.WIFSIGNALED(status):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [os.WTERMSIG(status)])
        if os.WTERMSIG(status) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    mode, number, _, *program = sys.argv[1:]
    {"exec": become, "watch": watch}[mode](int(number), program)
