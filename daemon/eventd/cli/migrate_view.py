"""What becomes of a workspace's files: told as it happens, and summed up at the end."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..migration.plan import Plan
from ..migration.run import Outgoing, Step
from ..migration.walk import Skipped, shown
from .columns import columns
from .figures import count, size
from .output import OutputClosed, neutral, print_json, print_line
from .teller import Teller

TOLD = 20  # of each sort that are told one by one; the others are only counted
TAKEN_BEFORE = "id_conflict"
"""Code for an event that is stored, with another date say."""
FORGOTTEN = "forgotten"
"""Code for an event that was removed for good."""


class Progress(Teller):
    """Tells what becomes of one workspace; the report of its `Sender`.

    Args:
        total: Bytes of all files.
        dry: Whether nothing is sent.
        as_json: Print an object for everything that happens.

    Attributes:
        added: Events that are on disk now, or would be, by type.
        present: Events that were stored before.
        forgotten: Events that were removed for good, and were not sent.
        refused: Events that the daemon did not take.
        unread: Files that could not be read, or not whole.
    """

    def __init__(self, label: dict[str, Any], total: int, *, dry: bool, as_json: bool) -> None:
        super().__init__(total)
        self.label = label
        self.added: Counter[str] = Counter()
        self.present = self.forgotten = self.refused = self.unread = 0
        self.files = self.bytes = self.unchanged = self.secrets = self.damaged = self.gone = 0
        self.skipped: Counter[str] = Counter()
        self._dry = dry
        self._as_json = as_json
        self._told: Counter[str] = Counter()

    def _end(self, error: BaseException | None) -> None:
        if error is not None:
            self.say(f"stopped after {count(self.files, 'file')}; the same command goes on from there")

    # What the sender tells.

    def store(self, stored: Sequence[tuple[Outgoing, str]]) -> None:
        """Note that events are on disk."""
        for outgoing, event_id in stored:
            self.added[outgoing.event.type] += 1
            self._event("stored", id=event_id, type=outgoing.event.type, path=outgoing.path)
        self._advance(stored[-1][0].end)

    def refuse(self, line: Outgoing, code: str, message: str) -> None:
        """Note that an event was not taken."""
        if code == TAKEN_BEFORE:
            self.present += 1
        elif code == FORGOTTEN:
            self.forgotten += 1
        else:
            self.refused += 1
            self._tell("refused", f"{line.path}: {code}: {message}", path=line.path, code=code)

    def stopped_at(self, number: int) -> None:
        """Note where sending ended."""
        self.say(f"stopped; event {number:,} of this run and those behind it may not be stored")

    # What the files say.

    def take(self, step: Step) -> None:
        """Note what was found out about some files."""
        self.present += step.present
        self.forgotten += step.forgotten
        for plan in step.plans:
            self._take(plan)
        for skipped in step.unread:
            self.skip(skipped)
        if self._dry:
            for outgoing in step.outgoing:
                self.added[outgoing.event.type] += 1
                self._event("new", id=outgoing.event.id, type=outgoing.event.type, path=outgoing.path)
        self._advance(step.end)

    def _take(self, plan: Plan) -> None:
        note, path = plan.note, shown(plan.note.path)
        self.files += 1
        self.bytes += note.size
        self.unchanged += not plan.events
        self.damaged += bool(note.damage)
        for damage in note.damage:
            where = f"{path}:{damage.line}" if damage.line else path
            self._tell(
                "damaged", f"{where}: {damage.reason}", path=path, line=damage.line, reason=damage.reason
            )
        self.secrets += len(note.secrets)
        for secret in note.secrets:
            text = f"{path}:{secret.line}: looks like a secret ({secret.kind})"
            self._tell("secret", text, path=path, line=secret.line, kind=secret.kind)
        self.gone += len(plan.gone)
        for heading in plan.gone:
            text = f"{path}: {heading or 'its beginning'} is not there any more; what is stored of it stays"
            self._tell("gone", text, path=path, heading=heading)

    def skip(self, skipped: Skipped) -> None:
        """Note that something is not migrated."""
        path = shown(skipped.path) or "."
        self.skipped[skipped.reason] += 1
        self.unread += skipped.lost
        if skipped.told:
            self._tell("skipped", f"{path}: {skipped.reason}", path=path, reason=skipped.reason)
        else:
            self._event("skipped", path=path, reason=skipped.reason)

    def lose(self, paths: Sequence[str]) -> None:
        """Note which files are not there any more."""
        self.gone += len(paths)
        for path in paths:
            self._tell("gone", f"{path}: not there any more; what is stored of it stays", path=path)

    # At the end.

    def summary(self) -> dict[str, Any]:
        """Return all of it as one document."""
        seconds = time.monotonic() - self._began
        return self.label | {
            "dryRun": self._dry,
            "files": self.files,
            "bytes": self.bytes,
            "unchanged": self.unchanged,
            "added": dict(sorted(self.added.items())),
            "present": self.present,
            "forgotten": self.forgotten,
            "refused": self.refused,
            "skipped": dict(sorted(self.skipped.items())),
            "unread": self.unread,
            "damaged": self.damaged,
            "gone": self.gone,
            "secrets": self.secrets,
            "seconds": round(seconds, 3),
        }

    def close(self) -> None:
        """Print the summary."""
        if self._as_json:
            print_json({"summary": self.summary()})
            return
        for line in self._table():
            print_line(line)

    def _table(self) -> list[str]:
        verb = "would be added" if self._dry else "added"
        rows = [
            (f"{neutral(self.label['workspace'])}", f"agent {neutral(self.label['agent'])}"),
            ("files", f"{self.files:,} ({size(self.bytes)}), {self.unchanged:,} of them as they were"),
            (f"events {verb}", f"{self.added.total():,}"),
            *((f"  {kind}", f"{number:,}") for kind, number in sorted(self.added.items())),
            ("already there", f"{self.present:,}"),
        ]
        optional = {
            "forgotten, not sent": self.forgotten,
            "refused": self.refused,
            "damaged files": self.damaged,
            "gone, kept in the store": self.gone,
            "look like secrets": self.secrets,
        }
        rows += [(name, f"{number:,}") for name, number in optional.items() if number]
        rows += [("skipped", f"{self.skipped.total():,}")] if self.skipped else []
        rows += [(f"  {neutral(reason)}", f"{number:,}") for reason, number in sorted(self.skipped.items())]
        return columns(rows)

    def _advance(self, done: int) -> None:
        if self._bar is not None:
            self._bar.advance(done, f"{self.files:,} files, {self.added.total():,} events")

    def _tell(self, what: str, text: str, **said: Any) -> None:
        """Say something to a person, not too often; and to a program, always."""
        if self._as_json:
            self._event(what, **said)
            return
        self._told[what] += 1
        if self._told[what] <= TOLD:
            self.say(neutral(text))
        elif self._told[what] == TOLD + 1:
            self.say(f"more of these ({what}) are only counted; --json tells about each")

    def _event(self, what: str, **said: Any) -> None:
        if self._as_json:
            try:
                print_json({"what": what, **said})
            except OutputClosed:  # nobody wants to know any more; the events are to be stored all the same
                self._as_json = False
