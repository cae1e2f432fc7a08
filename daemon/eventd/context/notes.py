"""What an agent has written down in files, as far as a session should begin with it.

That is its long-term memory, from the top of the file, then the notes of days, the newest first. Files about
persons, projects and the like are there to be recalled.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ..events.normal import Normal, normalise
from ..events.types import LEADS, LONG_TERM_MEMORY
from ..index.model import Entry
from .reading import first_plain, stripped

FOLDER = "memory/"
"""Where a workspace keeps the notes of days."""


@dataclass(slots=True)
class Note:
    """A passage: what stands before the first heading of a file, or under one.

    Attributes:
        time: The day of the note, Unix ms.
        kept: Whether it is of the long-term memory.
    """

    entry: Entry
    time: int
    text: str
    kept: bool


def current(entries: Iterable[Entry]) -> Iterator[Note]:
    """Yield what the files say now, in the order in which it is shown.

    Args:
        entries: Notes of one agent that were not replaced.
    """
    known = [(entry, event) for entry in entries if (event := normalise(entry.body)) is not None]
    known.sort(key=lambda pair: (_file(pair[1]), pair[0].n))
    files = [list(pieces) for _, pieces in groupby(known, key=lambda pair: _file(pair[1]))]
    files = [pieces for pieces in files if _is_kept(pieces) or _path(pieces[0][1]).startswith(FOLDER)]
    files.sort(key=lambda pieces: max((entry.time, entry.n) for entry, _ in pieces), reverse=True)
    files.sort(key=_is_kept, reverse=True)
    shown: set[str] = set()
    for pieces in files:
        kept = _is_kept(pieces)
        said = [(entry, stripped(_words(event))) for entry, event in _in_order(pieces)]
        said = [(entry, text) for entry, text in said if text]
        for entry, text in said:
            if len(said) > 1 and _is_title(text):
                continue  # there is room for few, and the path says as much
            if text not in shown:  # a file that has another name now is stored under both
                shown.add(text)
                yield Note(entry, entry.time, text, kept)


def _in_order(pieces: Sequence[tuple[Entry, Normal]]) -> Iterable[tuple[Entry, Normal]]:
    """Return the pieces of a file in its order, without those that are not in it any more."""
    leads = [(entry, event) for entry, event in pieces if entry.type in LEADS]
    listed = leads[-1][1].data.get("sections") if leads else None
    if not isinstance(listed, list):
        return pieces
    places = {name: place for place, name in enumerate(listed) if isinstance(name, str)}
    sections = [pair for pair in pieces if pair[0].event_id in places]
    return [leads[-1], *sorted(sections, key=lambda pair: places[pair[0].event_id])]


def _words(event: Normal) -> str:
    """Return what a passage says; its heading is named beside it."""
    text = first_plain(event.data, "text")
    return text.partition("\n")[2] if event.data.get("heading") and text.startswith("#") else text


def _is_title(text: str) -> bool:
    return text.startswith("#") and "\n" not in text


def _is_kept(pieces: Sequence[tuple[Entry, Normal]]) -> bool:
    return any(entry.type == LONG_TERM_MEMORY for entry, _ in pieces)


def _file(event: Normal) -> tuple[str, str]:
    """Return what tells a file from others: every workspace of an agent may have one at the same path."""
    return _path(event), event.run


def _path(event: Normal) -> str:
    path = event.data.get("path")
    return path if isinstance(path, str) else ""
