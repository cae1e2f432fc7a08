"""The spool: events that hooks could not hand to a daemon, and that wait in files."""

import time
from collections.abc import Iterator, Mapping

from ..spool.files import Spool
from ..spool.places import spool_folder
from .model import Finding, Level
from .visit import Visit

TAKEN_IN = 60.0  # seconds within which a daemon that runs has taken everything in


def examine_spool(visited: Visit, environ: Mapping[str, str], *, used: bool) -> Iterator[Finding]:
    """Yield what waits there. Blocks.

    Args:
        used: Whether any tool is connected whose hooks could use it.
    """
    check, title = "tools.spool", "spool of hooks"
    folder = spool_folder(environ)
    if folder is None:
        return
    told = visited.part("spool")
    if lost := told.get("lost"):
        text = f"{lost} events of hooks found no room in {folder}, and are lost"
        yield Finding(check, Level.PROBLEM, title, text, "keep the daemon running: `eventd service install`")
    try:
        files = Spool(folder).files()
    except OSError as error:
        text = f"{folder} cannot be used: {error.strerror or error}"
        yield Finding(check, Level.PROBLEM, title, text, f"chmod 700 {folder}, as its owner")
        return
    if not files:
        if used and not lost:
            yield Finding(check, Level.OK, title, "nothing waits")
        return
    age = max(0.0, time.time() - min(file.time for file in files) / 1e9)
    many = f"{len(files)} file" + ("s" if len(files) > 1 else "")
    text = f"{many} with events in {folder}, the oldest for {age:.0f} s"
    if visited.welcome is None:
        remedy = "they are safe there, and taken in once the daemon runs: `eventd service install`"
        yield Finding(check, Level.WARNING, title, text, remedy)
    elif age <= TAKEN_IN:
        yield Finding(check, Level.OK, title, text)
    elif told.get("folder") != folder:
        text += "; this daemon takes nothing in from there"
        remedy = f"start it with EVENTD_SPOOL={folder}, or without --socket"
        yield Finding(check, Level.WARNING, title, text, remedy)
    else:
        problem = str(told.get("problem") or "")
        text += f": {problem}" if problem else ""
        yield Finding(check, Level.WARNING, title, text, "the daemon's log has more (action=spool_…)")
