"""`eventd doctor`: looks at everything between an agent and its stream, and says what to do."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .. import __version__
from .exits import ExitCode
from .options import Duration, json_option, option
from .output import is_terminal, notice, print_json, print_line, wants_colour
from .place import Place

if TYPE_CHECKING:
    from ..doctor.model import Finding, Fixed
    from ..doctor.runner import Wish
    from ..doctor.service import Candidate
    from ..service.installation import Installation

EPILOG = """\b
Examples:
  eventd doctor
  eventd doctor --json | jq -r '.findings[] | select(.level == "problem") | .found'
  eventd doctor --agent assistant-one
  eventd doctor --fix                   asks before each change
  eventd doctor --fix --yes --narrow openclaw-events

\b
Each check ends in one of these:
  ✓ ok
  · note     nothing has to be done
  ? note     the check could not be made, and why
  ! warning  it works, and will hurt
  ✗ problem  events do not arrive, are refused, or may get lost

\b
Exit codes:
  0  nothing but ok and notes
  1  a warning or a problem; `level` of --json says which
  2  the command line is wrong

It sends one small event, of agent `eventd-doctor` (or --agent) and type `doctor.test`, `secret`: no search
finds it, and nobody else reads it. An agent's context stays as it is, but for the number of events. A stream
of eventd's that lists its agents gets that one, too.
"""


@click.command("doctor", epilog=EPILOG)
@option("--agent", metavar="NAME", help="Look at this agent's route alone, and send the test event as it.")
@option("--test-event/--no-test-event", default=True, help="Whether to send one through.  [default: yes]")
@option(
    "--timeout",
    type=Duration(positive=True),
    default="10s",
    show_default=True,
    help="For each route, and each answer.",
)
@option("--fix", is_flag=True, help="Do what is safe: make missing streams, close files; asks before each.")
@option("--yes", is_flag=True, help="With --fix: do it without asking.")
@option(
    "--narrow",
    multiple=True,
    metavar="STREAM",
    help="With --fix: let this stream, which is not eventd's, list its agents. May be repeated.",
)
@json_option
@click.pass_obj
def command(
    place: Place,
    agent: str | None,
    test_event: bool,
    timeout: float,
    fix: bool,
    yes: bool,
    narrow: tuple[str, ...],
    as_json: bool,
) -> ExitCode:
    """Find what is wrong, and say what to do about it.

    It looks at everything between an agent and its stream: the configuration, rights of files, the socket and
    the daemon, what waits in it, the disk; each route's NATS server with that route's own login, its stream
    and that stream's settings, clocks; whether a test event comes through; the service. It works without the
    daemon and without NATS, as far as it goes.
    """
    if (yes or narrow) and not fix:
        raise click.UsageError("--yes and --narrow belong to --fix")
    if fix and not yes and (as_json or not is_terminal(sys.stdin)):
        raise click.UsageError("there is nobody to ask: add --yes to --fix")
    from ..doctor.clock import now_ms
    from ..doctor.model import Level, document, worst
    from ..doctor.runner import Wish
    from .doctor_view import lines

    logging.getLogger().addHandler(logging.NullHandler())  # what our parts log is in the findings
    wish = Wish(place.config, place.socket, agent, test_event, timeout)
    findings = _examine(place, wish)
    fixed: list[Fixed] = []
    if fix:
        fixed = _fix_all(findings, yes=yes, narrow=narrow)
        if fixed:
            findings = _examine(place, replace(wish, test_event=False))
    if as_json:
        print_json(document(findings, __version__, now_ms(), fixed))
    else:
        colour = wants_colour(sys.stdout)
        for line in lines(findings, colour=colour, can_fix=not fix):
            print_line(line)
    return ExitCode.OK if worst(findings) <= Level.NOTE else ExitCode.FAILED


def _examine(place: Place, wish: "Wish") -> "list[Finding]":
    import anyio

    from ..connecting.connector import here
    from ..connecting.model import Program
    from ..doctor.runner import Doctor
    from ..doctor.tools import Tools
    from .program import program

    patient = replace(place, timeout=wish.timeout)
    doctor = Doctor(
        wish,
        connect=lambda agent: patient.connect(agent, admin=True),
        candidates=lambda config, socket: _candidates(place, config, socket),
        tools=Tools(here(), Program(program(), place.socket)),
    )
    return anyio.run(doctor.examine)


def _fix_all(findings: "list[Finding]", *, yes: bool, narrow: Sequence[str]) -> "list[Fixed]":
    """Do what can be done: everything that is agreed to, each thing once."""
    import anyio

    from ..doctor.model import Fixed
    from ..errors import EventdError

    fixed: list[Fixed] = []
    for finding in findings:
        fix = finding.fix
        if fix is None or any(each.what == fix.what for each in fixed):
            continue
        if fix.stream and yes:
            agreed = fix.stream in narrow
            if not agreed:
                notice(f"left as it is: {fix.what}; --narrow {fix.stream} does it")
        else:
            agreed = yes or fix.stream in narrow or click.confirm(f"{fix.what}?", err=True)
        if not agreed:
            continue
        try:
            result, done = anyio.run(fix.apply), True
        except (EventdError, OSError) as error:
            result, done = str(error), False
        notice(f"{'done' if done else 'failed'}: {result}")
        fixed.append(Fixed(fix.what, done, result))
    return fixed


def _candidates(place: Place, config: Path | None, socket: Path | None) -> "list[Candidate]":
    """Return how eventd may be installed: with the files that we or the daemon were told, or without."""
    from ..doctor.service import Candidate
    from ..service.installation import ServiceError
    from .service import installation_for

    found = []
    for form, is_system in (("user", False), ("system", True)):
        options: list[Installation] = []
        for file in dict.fromkeys((place.config, config, None)):
            for path in dict.fromkeys((place.socket, socket, None)):
                try:
                    options.append(installation_for(Place(file, path), is_system))
                except ServiceError:
                    continue  # not in this form, or not from here
        if options:
            found.append(Candidate(form, options))
    return found
