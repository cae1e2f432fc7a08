"""A finding: what was looked at, what is the case, and what to do about it. Plain data."""

import enum
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..secret import redact

FORMAT = 1
"""Version of the document; it changes only when a program that reads it would misunderstand."""


class Level(enum.IntEnum):
    """How bad a finding is."""

    OK = 0
    NOTE = 1
    """Good to know; nothing has to be done. So is what could not be looked at."""
    WARNING = 2
    """It works, and will hurt: something needs a look."""
    PROBLEM = 3
    """Events do not arrive, are refused, or may get lost."""

    @property
    def word(self) -> str:
        """Its name in documents."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, eq=False)
class Fix:
    """Something that doctor can do about a finding.

    Attributes:
        what: What is done, beginning with a verb, for the question whether to do it.
        apply: Does it, and returns what was done. Raises an `EventdError` or `OSError` where it cannot.
        stream: The stream that it changes though eventd did not make it, "" for every other fix. Such a one
            is done only where a person says so for this very stream.
    """

    what: str
    apply: Callable[[], Awaitable[str]]
    stream: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. Its texts hold no secrets.

    Attributes:
        check: Name of the check for programs, `group.what`.
        title: Name of the check for people, in a few words.
        found: What is the case.
        remedy: What to do about it; "" where there is nothing to do.
        route: The route that it is about, as `eventd status` calls it; "" for all others.
        made: Whether the check could be made; `found` says why not.
    """

    check: str
    level: Level
    title: str
    found: str
    remedy: str = ""
    route: str = ""
    made: bool = True
    fix: Fix | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        # URLs of messages that are not ours; set on a frozen object only here.
        object.__setattr__(self, "found", redact(self.found))
        object.__setattr__(self, "remedy", redact(self.remedy))

    @property
    def group(self) -> str:
        """The first part of the check's name."""
        return self.check.partition(".")[0]

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        fix = {"what": self.fix.what, "stream": self.fix.stream or None} if self.fix else None
        return {
            "check": self.check,
            "route": self.route or None,
            "level": self.level.word,
            "made": self.made,
            "title": self.title,
            "found": self.found,
            "remedy": self.remedy or None,
            "fix": fix,
        }


Findings = list[Finding]


def unmade(check: str, title: str, why: str, remedy: str = "", *, route: str = "") -> Finding:
    """Return the finding of a check that could not be made."""
    return Finding(check, Level.NOTE, title, why, remedy, route=route, made=False)


@dataclass(frozen=True, slots=True)
class Fixed:
    """A fix that was tried.

    Attributes:
        result: What was done, or why it could not be.
    """

    what: str
    done: bool
    result: str

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"what": self.what, "done": self.done, "result": self.result}


def worst(findings: Sequence[Finding]) -> Level:
    """Return the worst level of some findings."""
    return max((finding.level for finding in findings), default=Level.OK)


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """Return how many findings there are of each level, and of checks that could not be made."""
    levels = Counter(finding.level for finding in findings if finding.made)
    return {
        **{level.word: levels[level] for level in Level},
        "unmade": sum(not finding.made for finding in findings),
    }


def document(
    findings: Sequence[Finding], version: str, at: int, fixed: Sequence[Fixed] = ()
) -> dict[str, Any]:
    """Return the whole for programs.

    Args:
        at: When it was looked at, Unix milliseconds.
    """
    return {
        "format": FORMAT,
        "version": version,
        "at": at,
        "level": worst(findings).word,
        "counts": counts(findings),
        "findings": [finding.document() for finding in findings],
        "fixed": [each.document() for each in fixed],
    }
