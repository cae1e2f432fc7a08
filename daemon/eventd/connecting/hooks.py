"""The form of hooks that Claude Code and Codex share: events, each with groups of commands.

    {"hooks": {"SessionStart": [{"hooks": [{"type": "command", "command": "…", "timeout": 5}]}]}}

Our command stands in a group of its own behind all others: Codex knows an approved hook by its place.
"""

import itertools
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import jsonedit

HOOKS = "hooks"


@dataclass(frozen=True, slots=True)
class Handler:
    """A hook of ours in a file.

    Attributes:
        group, number: Its place: which group of the event, and which command in it.
        matcher: Of its group.
        entry: All that the file says of it.
    """

    event: str
    group: int
    number: int
    matcher: str | None
    entry: Mapping[str, Any]

    @property
    def command(self) -> str:
        """What is run."""
        return str(self.entry["command"])


def ours(document: Any, tool: str) -> Iterator[Handler]:
    """Yield the hooks of eventd, of whichever installation. What has another form is somebody else's."""
    for event, group_number, group in _groups(document):
        handlers = group.get(HOOKS)
        for number, entry in enumerate(handlers if isinstance(handlers, list) else ()):
            if isinstance(entry, dict) and is_ours(entry.get("command"), tool):
                matcher = group.get("matcher")
                yield Handler(
                    event, group_number, number, matcher if isinstance(matcher, str) else None, entry
                )


def others(document: Any, tool: str) -> int:
    """Return how many hooks of somebody else there are, for the same events as ours."""
    mine = {handler.event for handler in ours(document, tool)}
    total = 0
    for event, _, group in _groups(document):
        handlers = group.get(HOOKS)
        total += len(handlers) if event in mine and isinstance(handlers, list) else 0
    return total - sum(1 for _ in ours(document, tool))


def is_ours(command: object, tool: str) -> bool:
    """Whether a command line is that of eventd's hooks for a tool, in one of the forms that we write."""
    words = program_words(command) if isinstance(command, str) else []
    program = words[:-2]
    is_eventd = len(program) == 1 and Path(program[0]).name == "eventd"
    return words[-2:] == ["hook", tool] and (is_eventd or program[1:] == ["-m", "eventd"])


def program_words(command: str) -> list[str]:
    """Return the words of a command line, without `env` and what it sets; none where a shell would fail."""
    words = words_of(command)
    if words and Path(words[0]).name == "env":
        words = list(itertools.dropwhile(lambda word: "=" in word, words[1:]))
    return words


def words_of(command: str) -> list[str]:
    """Return all words of a command line, as a shell takes it apart."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def is_same_program(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two ways to start eventd start the same one: through a link, say, or by its Python."""
    return bool(_places(one) & _places(other))


def is_startable(command: str) -> bool:
    """Whether the program of a command line is there and may be run."""
    words = program_words(command)
    return bool(words) and Path(words[0]).is_absolute() and os.access(words[0], os.X_OK)


def connect(text: str, tool: str, command: str, events: Mapping[str, int]) -> str:
    """Return the text with our command at each event, once.

    A hook that stands there already gets the command and keeps all else, such as another timeout.

    Args:
        events: The events, each with the seconds that the tool waits at the most.
    """
    for event, timeout in events.items():
        found = [handler for handler in ours(jsonedit.read(text), tool) if handler.event == event]
        for extra in reversed(found[1:]):
            text = _remove(text, extra)
        if not found:
            handler = {"type": "command", "command": command, "timeout": timeout}
            text = jsonedit.append(text, (HOOKS, event), {HOOKS: [handler]})
        elif found[0].command != command:
            where = (HOOKS, event, found[0].group, HOOKS, found[0].number, "command")
            text = jsonedit.put(text, where, command)
    return text


def disconnect(text: str, tool: str, original: str) -> str:
    """Return the text without our commands, and without the lists that hold nothing since.

    Args:
        original: The text from before; a list that was empty there stays.
    """
    before = jsonedit.read(original)
    for handler in reversed(list(ours(jsonedit.read(text), tool))):
        text = _remove(text, handler)
        left = jsonedit.read(text)
        if not left[HOOKS][handler.event] and not _has(before, HOOKS, handler.event):
            text = jsonedit.remove(text, (HOOKS, handler.event))
    if jsonedit.read(text).get(HOOKS) == {} and not _has(before, HOOKS):
        text = jsonedit.remove(text, (HOOKS,))
    return text


def _places(words: Sequence[str]) -> set[Path]:
    """Return where the program that some words start is to be found."""
    if not words:
        return set()
    program = Path(words[0])
    if list(words[1:]) == ["-m", "eventd"]:
        program = program.with_name("eventd")
    return {program.absolute(), program.resolve()}


def _groups(document: Any) -> Iterator[tuple[str, int, dict[str, Any]]]:
    events = document.get(HOOKS) if isinstance(document, dict) else None
    for event, groups in (events if isinstance(events, dict) else {}).items():
        for number, group in enumerate(groups if isinstance(groups, list) else ()):
            if isinstance(group, dict):
                yield str(event), number, group


def _remove(text: str, handler: Handler) -> str:
    """Remove a hook, and its group where it was the only one in it."""
    group = (HOOKS, handler.event, handler.group)
    text = jsonedit.remove(text, (*group, HOOKS, handler.number))
    left = jsonedit.read(text)[HOOKS][handler.event][handler.group][HOOKS]
    return text if left else jsonedit.remove(text, group)


def _has(document: Any, *path: str) -> bool:
    for name in path:
        if not isinstance(document, dict) or name not in document:
            return False
        document = document[name]
    return True
