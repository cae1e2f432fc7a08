"""The types of events: the names that older writers use, and what kind of thing each of them is.

Three shapes are found in the same streams: the document's own, that of the first plugins (`msg.in`), and
that of plugin 0.2.2, which repeats the old name and adds a `canonicalType`. All become the document's names.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType

MEMORY = ("memory.", "migration.")
"""What the types of memories begin with: these outlive the stream's and the index's age limits."""

# What `eventd migrate` makes of a file: one event of the first types, and sections that follow it.
DAILY_NOTE = "migration.daily_note"
LONG_TERM_MEMORY = "migration.long_term_memory"
PERSON = "migration.person"
COMPANY = "migration.company"
PROJECT = "migration.project"
AREA = "migration.area"
NOTE = "migration.note"
FACT_FILE = "migration.fact_file"
SECTION = "migration.section"
LEADS = (DAILY_NOTE, LONG_TERM_MEMORY, PERSON, COMPANY, PROJECT, AREA, NOTE, FACT_FILE)


class Kind(enum.IntEnum):
    """What an event is, as far as reading cares. The numbers are stored in the index."""

    OTHER = 0
    MESSAGE_IN = 1
    MESSAGE_OUT = 2
    TOOL_CALL = 3
    TOOL_RESULT = 4
    RUN_START = 5
    RUN_END = 6
    RUN_ERROR = 7
    MEMORY = 8
    COMPACTION = 9
    RAW = 10
    """Not understood: no JSON object, or one that claims another agent than its subject names."""
    NOTE = 11
    """A file that was migrated, or a section of one: a memory to recall, but no fact by itself."""


MEMORIES = (Kind.MEMORY, Kind.NOTE)
MESSAGES = (Kind.MESSAGE_IN, Kind.MESSAGE_OUT)
TOOLS = (Kind.TOOL_CALL, Kind.TOOL_RESULT)
RUNS = (Kind.RUN_START, Kind.RUN_END, Kind.RUN_ERROR)

CANONICAL: Mapping[str, str] = MappingProxyType(
    {
        # The first plugins.
        "msg.in": "conversation.message.in",
        "msg.out": "conversation.message.out",
        "msg.sending": "conversation.message.sending",
        "tool.call": "conversation.tool_call",
        "tool.result": "conversation.tool_result",
        "run.start": "lifecycle.start",
        "run.end": "lifecycle.end",
        "run.error": "lifecycle.error",
        # `canonicalType` of plugin 0.2.2.
        "message.in.received": "conversation.message.in",
        "message.out.sending": "conversation.message.sending",
        "message.out.sent": "conversation.message.out",
        "tool.call.requested": "conversation.tool_call",
        "tool.call.executed": "conversation.tool_result",
        "tool.call.failed": "conversation.tool_result",
        "run.started": "lifecycle.start",
        "run.ended": "lifecycle.end",
        "run.failed": "lifecycle.error",
        "model.input.observed": "llm.input",
        "model.output.observed": "llm.output",
        "session.started": "session.start",
        "session.ended": "session.end",
        "session.compaction.started": "session.compaction_start",
        "session.compaction.ended": "session.compaction_end",
        "gateway.started": "gateway.start",
        "gateway.stopped": "gateway.stop",
    }
)
"""The document's name for each name that an older writer uses. Names that are not here stay as they are."""

_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "conversation.message.in": Kind.MESSAGE_IN,
        "conversation.message.out": Kind.MESSAGE_OUT,
        "conversation.tool_call": Kind.TOOL_CALL,
        "conversation.tool_result": Kind.TOOL_RESULT,
        "lifecycle.start": Kind.RUN_START,
        "lifecycle.end": Kind.RUN_END,
        "lifecycle.error": Kind.RUN_ERROR,
        "session.compaction_end": Kind.COMPACTION,
        "conversation.compaction": Kind.COMPACTION,
        **dict.fromkeys((*LEADS, SECTION), Kind.NOTE),
    }
)


def canonical(event_type: str, alternative: str = "") -> str:
    """Return the document's name of a type.

    Args:
        alternative: The event's `canonicalType`, for a type that is not known here.
    """
    return CANONICAL.get(event_type) or CANONICAL.get(alternative) or event_type


def kind_of(event_type: str) -> Kind:
    """Return the kind of a canonical type."""
    kind = _KINDS.get(event_type)
    if kind is None:
        return Kind.MEMORY if event_type.startswith(MEMORY) else Kind.OTHER
    return kind
