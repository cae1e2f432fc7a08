"""Reads a transcript from its records to its events, whichever tool it is of."""

from collections import Counter
from collections.abc import Iterator

from eventd_ipc.events import Event

from .claude_code import ClaudeCode
from .codex import Codex
from .model import Adapter, NotUnderstood, Options, Record, Seen, Transcript
from .openclaw import OpenClaw
from .openclaw_sqlite import Store
from .reading import lines

NOT_UNDERSTOOD = "records not understood"
TOO_LONG = "records too long"


def adapter_of(transcript: Transcript, options: Options, seen: Seen) -> Adapter:
    """Return what makes events of a transcript's records."""
    match transcript.tool:
        case "claude-code":
            return ClaudeCode(transcript, options, seen)
        case "codex":
            return Codex(transcript, options, seen)
        case "openclaw":
            return OpenClaw(transcript, options, seen)


def read(
    transcript: Transcript, options: Options, seen: Seen, missed: Counter[str]
) -> Iterator[tuple[Event, int]]:
    """Yield the events of a transcript, each with the bytes that were taken so far.

    Args:
        seen: What other transcripts of the same tool have told.
        missed: Counts the records that could not be read.

    Raises:
        Unreadable: It cannot be read, or not to its end; the events before that were yielded.
    """
    seen.enter(transcript.group)
    adapter = adapter_of(transcript, options, seen)
    taken = 0
    held: bytes | None = None  # a line that is not understood, and may be the last one
    for record in records(transcript):
        if held is not None:
            missed[NOT_UNDERSTOOD] += 1
            held = None
        taken = record.taken
        if record.data is None:
            missed[TOO_LONG] += 1
            continue
        try:
            for event in adapter.read(record.data):
                yield event, taken
        except NotUnderstood:
            held = record.data
    if held is not None and (transcript.form == "rows" or held.endswith(b"\n")):  # else it is being written
        missed[NOT_UNDERSTOOD] += 1
    for event in adapter.finish():
        yield event, taken


def records(transcript: Transcript) -> Iterator[Record]:
    """Yield the records of a transcript.

    Raises:
        Unreadable: As `read`.
    """
    if transcript.form == "lines":
        yield from lines(transcript.path)
        return
    with Store(transcript.path) as store:
        yield from store.records(transcript)
