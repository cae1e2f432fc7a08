"""Whether a new session would be handed its context: the tool's own command is tried, and stores nothing."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

from eventd_ipc.errors import EventdClientError, Refused

from ..connecting import hooks, openclaw
from ..connecting.connector import Connection
from ..connecting.model import Program
from ..errors import EventdError
from .model import Finding, Level, unmade
from .visit import Connect, Visit, hint_of, text_of

TIMEOUT = 10.0  # seconds; the command ends by itself long before
LIMIT = 10_000  # characters of a context that the tools take
TRIAL = {"EVENTD_TRIAL": "1"}
INPUT = {
    "hook_event_name": "SessionStart",
    "session_id": "eventd-trial",
    "source": "startup",
    "cwd": "/",
    "transcript_path": "",
}
AGENT_VARIABLE = "EVENTD_AGENT"
OFF_VARIABLE, INJECT_VARIABLE = "EVENTD_OFF", "EVENTD_INJECT"
GO_ON = ("", "0", "no", "off", "false")  # with which hooks work all the same


def examine_handing(
    place: Connection, program: Program, visited: Visit, connect: Connect
) -> Iterator[Finding]:
    """Yield whether there is a context, and whether the tool would be given it. Blocks."""
    check, title = "tools.context", f"{place.tool.title} context"
    if visited.welcome is None:
        yield unmade(check, title, "the daemon does not answer")
        return
    agent = os.environ.get(AGENT_VARIABLE) or place.tool.name
    try:
        with connect(None if place.tool.name == openclaw.NAME else agent) as client:
            agent = client.welcome.agent
            text = str(client.context().get("text") or "")
    except Refused as error:
        yield Finding(check, Level.WARNING, title, f"it cannot be made: {error.message}", error.hint)
        return
    except (EventdClientError, EventdError) as error:
        yield unmade(check, title, text_of(error), hint_of(error))
        return
    if place.tool.name == openclaw.NAME:
        text = f"{len(text):,} characters for {agent}" if text else f"nothing to remember for {agent} yet"
        yield Finding(check, Level.OK, title, f"{text}; the plugin itself is tried by OpenClaw alone")
        return
    command = place.commands[0]
    if not hooks.is_same_program(hooks.program_words(command)[:-2], program.words):
        yield unmade(check, title, "the hooks call another eventd, which is not tried")
        return
    yield _tried(check, title, command, agent, has_context=bool(text))


def _tried(check: str, title: str, command: str, agent: str, *, has_context: bool) -> Finding:
    """Run the hook as the tool would, but for the shell, and look at what it prints."""
    environ = {**os.environ, **TRIAL}
    remedy = "hook.log in eventd's state folder says what went wrong"
    try:
        done = subprocess.run(  # noqa: S603 - words of ours, no shell
            hooks.words_of(command),
            input=json.dumps(INPUT).encode(),
            capture_output=True,
            timeout=TIMEOUT,
            env=environ,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(check, Level.PROBLEM, title, f"the hook does not run: {error}", remedy)
    if done.returncode or done.stderr:
        said = done.stderr.decode(errors="replace").strip()[-200:]
        text = f"the hook ends with {done.returncode}" + (f", and says: {said}" if said else "")
        return Finding(check, Level.PROBLEM, title, text, remedy)
    if _set_here(OFF_VARIABLE) not in GO_ON:
        return unmade(check, title, f"{OFF_VARIABLE} is set here: hooks record and say nothing")
    if _set_here(INJECT_VARIABLE) == "off":
        return unmade(check, title, f"{INJECT_VARIABLE}=off is set here: hooks hand nothing over")
    handed = _handed(done.stdout)
    if handed is None and not has_context:
        return Finding(check, Level.OK, title, f"the hook runs; there is nothing to remember for {agent} yet")
    if not handed:
        text = "the hook runs, and hands nothing over though there is something to remember"
        return Finding(check, Level.WARNING, title, text, "does it reach the daemon? `eventd whoami`")
    if len(handed) > LIMIT:
        text = f"{len(handed):,} characters, of which a tool shows {LIMIT:,}"
        return Finding(check, Level.WARNING, title, text)
    return Finding(check, Level.OK, title, f"a session of {agent} would be handed {len(handed):,} characters")


def _set_here(variable: str) -> str:
    return os.environ.get(variable, "").strip().lower()


def _handed(output: bytes) -> str | None:
    """Return the context in what a hook printed; None where that is nothing, "" where it has another form."""
    if not output.strip():
        return None
    try:
        answer: Any = json.loads(output)
        specific = answer["hookSpecificOutput"]
        if set(answer) != {"hookSpecificOutput"} or specific["hookEventName"] != INPUT["hook_event_name"]:
            return ""
        return str(specific["additionalContext"])
    except (ValueError, KeyError, TypeError):
        return ""
