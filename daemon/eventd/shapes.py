"""Secrets that only a person knows to be some: shapes in a file, beside those that `redaction` knows.

A line is a kind, which is what the marker says, and a regular expression, white space between them; `#`
begins a comment. A group that is named `secret` is what is replaced, else all of the match is::

    customer-number  \\bKD-\\d{8}\\b
    door-code        (?i)door code:? (?P<secret>\\d{4,6})

Quick to load, since hooks of agent tools use it.
"""

import os
import re
import sys
from collections.abc import Mapping

VARIABLE = "EVENTD_REDACT"
MAX_BYTES = 64 * 1024  # of the file
_FOLDER = "eventd"
_FILE = "redact"
_is_kind = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}").fullmatch

Shape = tuple[str, re.Pattern[str]]
"""Kind, and what looks like one."""


class Shapes:
    """What a file says.

    Attributes:
        known: Shapes that can be used.
        faults: What is wrong with other lines, each with its number.
    """

    def __init__(self, known: tuple[Shape, ...] = (), faults: tuple[str, ...] = ()) -> None:
        self.known = known
        self.faults = faults


def shapes_file(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return where the file is: `$EVENTD_REDACT`, else `redact` in the folder with the user's config file."""
    if named := environ.get(VARIABLE):
        return os.path.abspath(os.path.expanduser(named))
    base = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        below = "~/Library/Application Support" if sys.platform == "darwin" else "~/.config"
        base = os.path.expanduser(below) if environ.get("HOME") != "" else ""
    return os.path.join(base, _FOLDER, _FILE) if os.path.isabs(base) else None


def read_shapes(path: str | None) -> Shapes:
    """Return what a file says; nothing where there is none. A line of no use spoils no other one."""
    if path is None:
        return Shapes()
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Shapes()
    except OSError as error:
        return Shapes(faults=(f"{path} cannot be read: {error.strerror}",))
    known: list[Shape] = []
    faults: list[str] = []
    if len(data) > MAX_BYTES:
        faults.append(f"{path} has more than {MAX_BYTES} bytes; the rest is not looked at")
    for number, line in enumerate(data[:MAX_BYTES].decode("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        kind, *rest = line.split(None, 1)
        try:
            if not _is_kind(kind):
                raise ValueError(f"{kind[:40]!r} is no kind: lower-case letters, digits, - and _")
            pattern = re.compile(rest[0].strip() if rest else "")
            if pattern.match(""):
                raise ValueError("the expression is missing, or fits a text of no characters")
        except (ValueError, re.error, OverflowError, RecursionError) as error:
            faults.append(f"{path}:{number}: {error}")
        else:
            known.append((kind, pattern))
    return Shapes(tuple(known), tuple(faults))


_own: dict[str | None, Shapes] = {}


def own_shapes() -> Shapes:
    """Return what this user's file says, read once in a process."""
    path = shapes_file()
    if path not in _own:
        _own[path] = read_shapes(path)
    return _own[path]
