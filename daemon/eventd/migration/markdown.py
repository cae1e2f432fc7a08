"""Takes Markdown apart without losing a byte: sections, and what a note says about itself."""

import re
from typing import NamedTuple

MAX_HEADING = 200  # characters of a heading that are kept as a name
MAX_HEAD = 64 * 1024  # characters in which front matter and a title are looked for

# Nothing here is tried twice (`+` behind a count): a long line of spaces would take minutes.
_mark = re.compile(
    r"^ {0,3}(?:(?P<heading>##(?:[ \t][^\r\n]*+)?)|(?P<fence>`{3,}+|~{3,}+)(?P<info>[^\r\n]*+))\r?$",
    re.MULTILINE,
)
_title = re.compile(r"^ {0,3}#[ \t]++([^\r\n]*+)\r?$", re.MULTILINE)
_front = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.MULTILINE | re.DOTALL)
_key = re.compile(r"^([A-Za-z][\w-]*+)[ \t]*+:[ \t]*+([^\r\n]*+)\r?$", re.MULTILINE)
_session = re.compile(r"^\ufeff?\s*#[ \t]+Session:", re.MULTILINE)
_about = re.compile(r"^-[ \t]++\*\*(Session Key|Session ID|Source)\*\*:[ \t]*+([^\r\n]++)\r?$", re.MULTILINE)


class Piece(NamedTuple):
    """A piece of a text.

    Attributes:
        heading: Of the section that it is; "" for what comes before the first one.
    """

    heading: str
    text: str


def pieces(text: str) -> list[Piece]:
    """Cut a text at its `## ` headings, those in code excepted; the first piece may be empty.

    The pieces together are the text.
    """
    cuts: list[tuple[int, str]] = [(0, "")]
    fence = ""
    for mark in _mark.finditer(text):
        if (ticks := mark["fence"]) is not None:
            if not fence:
                if ticks[0] == "~" or "`" not in mark["info"]:
                    fence = ticks
            elif ticks.startswith(fence) and not mark["info"].strip():
                fence = ""
        elif not fence:
            cuts.append((mark.start(), name_of(mark["heading"])))
    ends = [start for start, _ in cuts[1:]] + [len(text)]
    return [Piece(heading, text[start:end]) for (start, heading), end in zip(cuts, ends, strict=True)]


def name_of(line: str) -> str:
    """Return what a heading says."""
    return " ".join(line.strip().strip("#").split())[:MAX_HEADING]


def title(text: str) -> str:
    """Return the first heading of a text; "" without one."""
    found = _title.search(text[:MAX_HEAD])
    return found[1].rstrip().rstrip("#").strip()[:MAX_HEADING] if found else ""


def front_matter(text: str) -> dict[str, str]:
    """Return the simple values that stand before a note, by their lower-case names."""
    found = _front.match(text[:MAX_HEAD])
    if found is None:
        return {}
    return {key.lower(): value.rstrip().strip("\"'") for key, value in _key.findall(found[1])}


def session(text: str) -> dict[str, str]:
    """Return `Session Key`, `Session ID` and `Source` of a note that OpenClaw's session hook has written."""
    head = text[:MAX_HEAD]
    return {key: value.rstrip() for key, value in _about.findall(head)} if _session.match(head) else {}
