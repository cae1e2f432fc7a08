"""The socket: where it is, who may use it, and who answers on it."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from eventd_ipc.errors import AccessDenied, NotRunning, Refused, TimedOut, Unauthorised, UnsafeSocket
from eventd_ipc.paths import check_folder, client_sockets

from .. import __version__
from .model import Finding, Findings, Level, unmade
from .visit import Visit, hint_of, text_of

BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO
SLOW = 1.0  # seconds for an answer that takes milliseconds

LOGS = (
    "its log: ~/Library/Logs/eventd.log"
    if sys.platform == "darwin"
    else "its log: `journalctl --user -u eventd` (as a system service without --user)"
)
START = f"start it: `eventd run`, or as a service: `eventd service install`; {LOGS}"


def examine_socket(named: Path | None, visited: Visit) -> Findings:
    """Say who answers, and whether the socket is safe.

    Args:
        named: The place where the socket has to be, if it was named or configured.
    """
    findings = [_answer(visited)]
    places = [visited.socket] if visited.socket else [p for p in client_sockets(named) if os.path.lexists(p)]
    for place in places:
        findings += _place(place, visited)
    if visited.welcome is not None:
        findings.append(_version(visited.welcome.server))
    if visited.welcome is not None and not visited.status:
        findings.append(_without_status(visited))
    return findings


def _answer(visited: Visit) -> Finding:
    check, title = "daemon.answers", "daemon"
    error = visited.error
    if visited.welcome is not None:
        pid = visited.status.get("pid")
        text = visited.welcome.server + (f" · pid {pid}" if pid else "")
        text += f" · answered in {visited.seconds * 1000:.0f} ms"
        if visited.seconds > SLOW:
            return Finding(
                check, Level.WARNING, title, text, "it or the machine is very busy: `eventd status --watch`"
            )
        return Finding(check, Level.OK, title, text)
    match error:
        case NotRunning():
            return Finding(check, Level.PROBLEM, title, text_of(error), START)
        case TimedOut():
            remedy = f"it runs but does nothing: restart it; {LOGS}"
            return Finding(check, Level.PROBLEM, title, text_of(error), remedy)
        case UnsafeSocket():
            return Finding(check, Level.PROBLEM, title, text_of(error), error.hint)
        case AccessDenied():
            remedy = "become a member of the socket's group, or run it as the user that eventd runs as"
            return unmade(check, title, text_of(error), remedy)
        case Unauthorised():
            return unmade(check, title, f"it answers, but not us: {error.message}", error.hint)
        case _:
            text = text_of(error) if error is not None else "nobody answers"
            return Finding(check, Level.PROBLEM, title, text, (error and hint_of(error)) or START)


def _without_status(visited: Visit) -> Finding:
    error = visited.error
    why = error.message if isinstance(error, Refused) else text_of(error) if error else "it tells us nothing"
    return unmade(
        "daemon.health", "health", f"it does not tell us how it is: {why}",
        "run it as the user that eventd runs as, as root, or with the administrator's token in EVENTD_TOKEN",
    )  # fmt: skip


def _place(place: Path, visited: Visit) -> Iterator[Finding]:
    check, title = "daemon.socket", "socket"
    try:
        found = place.lstat()
        check_folder(place.parent)
    except UnsafeSocket as error:
        if not isinstance(visited.error, UnsafeSocket):  # told already
            yield Finding(check, Level.PROBLEM, title, text_of(error), error.hint)
        return
    except OSError as error:
        yield unmade(check, title, f"this user may not look at {place}: {os.strerror(error.errno or 0)}")
        return
    if not stat.S_ISSOCK(found.st_mode):
        yield Finding(
            check, Level.PROBLEM, title, f"{place} is no socket", f"move it away: mv {place} {place}.old"
        )
        return
    mode = stat.S_IMODE(found.st_mode)
    text = f"{place} · mode {mode:04o}, uid {found.st_uid}, gid {found.st_gid}"
    if isinstance(visited.error, NotRunning):
        yield Finding(
            check,
            Level.NOTE,
            title,
            f"{text}; nobody listens: it was left behind by a daemon that was killed",
        )
    elif mode & BY_OTHERS and visited.welcome is not None and visited.welcome.proof == "open":
        who = "everybody on this machine" if mode & stat.S_IRWXO else "the whole group"
        yield Finding(
            check, Level.WARNING, title, f"{text}: {who} can read and write as every agent",
            "give agents tokens (`eventd token new`) or allowUids, or let it be yours alone: socket.mode",
        )  # fmt: skip
    else:
        yield Finding(check, Level.OK, title, text)


def _version(server: str) -> Finding:
    check, title = "daemon.version", "version"
    theirs = server.removeprefix("eventd ")
    if theirs == __version__:
        return Finding(check, Level.OK, title, f"{theirs}, like this command")
    return Finding(
        check, Level.WARNING, title, f"the daemon is {theirs}, this command is {__version__}",
        "restart the daemon after an upgrade; if that changes nothing there are two installations: "
        "`eventd service status`, `which -a eventd`",
    )  # fmt: skip
