"""`eventd forget`: shows what would go, asks, and says what is confirmed."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from .columns import columns
from .exits import ExitCode
from .figures import count, size
from .filters import (
    EVERYBODY,
    agent_option,
    run_option,
    session_option,
    since_option,
    text_option,
    type_option,
    until_option,
)
from .options import json_option, option
from .output import is_terminal, neutral, notice, print_json, print_line
from .place import Place
from .selection import Selection, selected

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client

GROUPS = 20  # lines of the table
STEP = 500  # events in a request
INTERVAL = 0.2  # seconds between two looks how far it is
PATIENCE = 30.0  # seconds without anything new after which it is not waited any longer
AWAY_PATIENCE = 3.0  # the same where NATS is away

EPILOG = """\b
Examples:
  eventd forget 018f3c5e-7a10-7000-8000-000000000001
  eventd forget --session agent:main:telegram:dm:4711 --dry-run
  eventd forget --agent main --text "my old password" --since 7d
  eventd forget --agent helper --until 2026-01-01 --yes

What is forgotten goes from its stream, from the outbox and from the index, and is overwritten there. A
tombstone stays, an event with ids and places only, so that nothing brings it back: no import, no repair, no
rebuild, no other host. Copies that eventd does not know of stay: backups, exports, mirrors of a stream.
"""

UNREACHED = (
    "not reached: backups, exports, mirrors and other copies of a stream, damaged outboxes in the quarantine"
)


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    tombstones: dict[str, list[str]] = field(default_factory=dict)
    events: int = 0
    already: int = 0
    unknown: int = 0
    unreachable: set[str] = field(default_factory=set)
    away: bool = False
    waiting: int = 0
    dead: list[dict[str, Any]] = field(default_factory=list)
    clean: bool = True

    def document(self) -> dict[str, Any]:
        """Return what programs are shown."""
        return {
            "forgotten": self.events, "already": self.already, "unknown": self.unknown,
            "tombstones": sum(map(len, self.tombstones.values())), "waiting": self.waiting,
            "failed": self.dead, "confirmed": not self.waiting and not self.dead and self.clean,
            "unreachable": sorted(self.unreachable),
        }  # fmt: skip


@click.command("forget", epilog=EPILOG)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@agent_option
@session_option
@type_option
@since_option
@until_option
@run_option
@text_option
@option("--dry-run", is_flag=True, help="Show what would go, and change nothing.")
@option("-y", "--yes", is_flag=True, help="Do not ask.")
@option("--no-wait", is_flag=True, help="Do not wait until it is confirmed.")
@json_option
@click.pass_obj
def command(
    place: Place,
    /,
    ids: tuple[str, ...],
    agent: str | None,
    dry_run: bool,
    yes: bool,
    no_wait: bool,
    as_json: bool,
    **conditions: Any,
) -> ExitCode:
    """Let events be forgotten: in stream, outbox and index.

    Named by their ids, or by conditions as those of `query`. Shows what would go, and asks before it goes.
    """
    _check(ids, agent, conditions)
    with place.connect(admin=True) as client:
        found = Selection()
        for stored, owner in selected(client, ids, agent, conditions):
            found.add(stored, owner)
        if not found.events:
            notice("nothing found that could be forgotten")
            return ExitCode.FAILED
        _show(found, as_json)
        if dry_run:
            return ExitCode.OK
        if not yes:
            if not is_terminal(sys.stdin):
                raise click.UsageError("it is for good: say --yes where nobody can be asked")
            if not click.confirm(f"Forget {count(found.events, 'event')} for good?", err=True):
                return ExitCode.FAILED
        outcome = _forget(client, found)
        if not no_wait:
            _wait(client, outcome)
        else:
            outcome.waiting, outcome.clean = sum(map(len, outcome.tombstones.values())), False
    if as_json:
        print_json(outcome.document())
    _tell(outcome)
    return ExitCode.REFUSED if outcome.dead else ExitCode.OK


def _check(ids: tuple[str, ...], agent: str | None, conditions: dict[str, Any]) -> None:
    given = any(value not in (None, ()) for value in conditions.values())
    if ids and given:
        raise click.UsageError("give either ids or conditions; --agent goes with both")
    if not ids and not given and agent in (None, EVERYBODY):
        raise click.UsageError("say what is to be forgotten: ids, or at least one condition")


def _show(found: Selection, as_json: bool) -> None:
    if as_json:
        print_json(found.document())
        return
    from . import views

    for stored in found.sample:
        head, text = views.as_line(stored)
        print_line(f"{head}  {text[:80]}".rstrip())
    if found.events > len(found.sample):
        print_line(f"… and {count(found.events - len(found.sample), 'event')} more")
    print_line("")
    groups = sorted(found.groups.items(), key=lambda item: -item[1])
    rows = [
        tuple(map(neutral, (f"{events:,}", *(name or "-" for name in names))))
        for names, events in groups[:GROUPS]
    ]
    for line in columns([("events", "agent", "type", "stream"), *rows]):
        print_line(line)
    if len(groups) > GROUPS:
        print_line(f"… and {len(groups) - GROUPS} more kinds")
    span = f"from {views.local_time(found.first or 0)} to {views.local_time(found.last or 0)}"
    print_line(f"{count(found.events, 'event')}, {size(found.bytes)}, {span}")


def _forget(client: "Client", found: Selection) -> Outcome:
    """Send it, in steps."""
    outcome = Outcome()
    with _bar(found.events) as advance:
        sent = 0
        for agent, selected in found.by_agent.items():
            for some in _steps(selected):
                answer = client.forget(agent, some)
                outcome.tombstones.setdefault(agent, []).extend(answer["tombstones"])
                outcome.events += answer["events"]
                outcome.already += len(answer["already"])
                outcome.unknown += len(answer["unknown"])
                outcome.unreachable.update(answer["unreachable"])
                outcome.away |= not answer["checked"]
                sent += len(some)
                advance(sent, f"{sent:,} of {count(found.events, 'event')}")
    return outcome


def _wait(client: "Client", outcome: Outcome) -> None:
    """Wait for as long as it goes on."""
    total = sum(map(len, outcome.tombstones.values()))
    left = {agent: list(names) for agent, names in outcome.tombstones.items() if names}
    seen: object = None
    since = time.monotonic()
    with _bar(total) as advance:
        while True:
            outcome.clean = True
            for agent, names in list(left.items()):
                answers = [client.forget_progress(agent, some) for some in _steps(names)]
                outcome.dead += [dead for answer in answers for dead in answer["dead"]]
                outcome.clean &= all(answer["clean"] for answer in answers)
                left[agent] = [name for answer in answers for name in answer["waiting"]]
                if not left[agent] and outcome.clean:
                    del left[agent]
            outcome.waiting = sum(map(len, left.values()))
            advance(total - outcome.waiting, f"{count(outcome.waiting, 'tombstone')} to go")
            if not left:
                return
            if seen != (now := (outcome.waiting, outcome.clean)):
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > (AWAY_PATIENCE if outcome.away else PATIENCE):
                return
            time.sleep(INTERVAL)


@contextmanager
def _bar(total: int) -> "Iterator[Callable[[int, str], None]]":
    """Draw a progress bar on a terminal, nothing elsewhere; what is yielded says how far it is."""
    if not is_terminal(sys.stderr):
        yield lambda _done, _told: None
        return
    from . import progress

    bar = progress.Bar(total)
    try:
        yield bar.advance
    finally:
        bar.close()


def _steps[T](items: Sequence[T]) -> list[Sequence[T]]:
    """Return items in steps that one request can name; one empty step where there are none."""
    return [items[start : start + STEP] for start in range(0, len(items), STEP)] or [[]]


def _tell(outcome: Outcome) -> None:
    for line in _lines(outcome):
        notice(line)


def _lines(outcome: Outcome) -> Iterable[str]:
    events = count(outcome.events, "event")
    if outcome.dead:
        failed = count(len(outcome.dead), "tombstone")
        yield f"{failed} failed: what they name is gone from index and outbox, not from its stream:"
        for dead in outcome.dead[:GROUPS]:
            yield f"  {neutral(str(dead['reason']))}; then `eventd deadletter retry {dead['number']}`"
    if outcome.waiting:
        yield (
            f"{events} forgotten here. Their stream may have them until NATS has confirmed it: "
            f"{count(outcome.waiting, 'tombstone')} to go, kept on disk until then; see `eventd status`"
        )
    elif not outcome.clean:
        yield f"{events} forgotten; what is left in files of outbox and index is still being overwritten"
    elif outcome.events and not outcome.dead:
        yield f"{events} forgotten: removed from stream, outbox and index, and overwritten there"
    if outcome.already:
        yield f"{count(outcome.already, 'event')} forgotten before"
    if outcome.unknown:
        yield f"{count(outcome.unknown, 'event')} not forgotten: nobody's, or not there any more"
    if outcome.unreachable:
        streams = ", ".join(sorted(map(neutral, outcome.unreachable)))
        yield f"not reached: streams of other accounts, where the same events stand: {streams}"
    if outcome.events:
        yield UNREACHED
