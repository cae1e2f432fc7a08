"""The names of types, and what kind of thing each is."""

import pytest

from eventd.events.types import CANONICAL, MEMORIES, Kind, canonical, kind_of

# From the table of the shapes that are found in the same streams.
OLDER = {
    "msg.in": "conversation.message.in",
    "msg.out": "conversation.message.out",
    "msg.sending": "conversation.message.sending",
    "tool.call": "conversation.tool_call",
    "tool.result": "conversation.tool_result",
    "run.start": "lifecycle.start",
    "run.end": "lifecycle.end",
    "run.error": "lifecycle.error",
    "message.in.received": "conversation.message.in",
    "message.out.sent": "conversation.message.out",
    "message.out.sending": "conversation.message.sending",
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
SAME_IN_ALL = [
    "conversation.message.in",
    "conversation.message.out",
    "conversation.tool_call",
    "conversation.tool_result",
    "lifecycle.start",
    "lifecycle.end",
    "lifecycle.error",
    "llm.input",
    "llm.output",
    "session.start",
    "session.end",
    "session.compaction_start",
    "session.compaction_end",
    "session.reset",
    "gateway.start",
    "gateway.stop",
    "memory.fact",
    "my.own.type",
]


@pytest.mark.parametrize(("given", "name"), OLDER.items())
def test_names_of_older_writers(given: str, name: str) -> None:
    """Each becomes the document's name, and that name stays as it is."""
    assert canonical(given) == name
    assert canonical(name) == name


def test_every_mapping_is_meant() -> None:
    """No name is mapped that no writer uses, and none to a name that is mapped on."""
    assert dict(CANONICAL) == OLDER
    assert not set(OLDER) & set(OLDER.values())


@pytest.mark.parametrize("name", SAME_IN_ALL)
def test_other_names_stay(name: str) -> None:
    """The document's names and custom ones are what they are."""
    assert canonical(name) == name


def test_the_canonical_type_helps_where_the_type_is_unknown() -> None:
    """A known type counts first; a `canonicalType` that nobody knows changes nothing."""
    assert canonical("msg.in", "tool.call.failed") == "conversation.message.in"
    assert canonical("something.new", "message.out.sent") == "conversation.message.out"
    assert canonical("something.new", "brand.new") == "something.new"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("conversation.message.in", Kind.MESSAGE_IN),
        ("conversation.message.out", Kind.MESSAGE_OUT),
        ("conversation.message.sending", Kind.OTHER),
        ("conversation.tool_call", Kind.TOOL_CALL),
        ("conversation.tool_result", Kind.TOOL_RESULT),
        ("lifecycle.start", Kind.RUN_START),
        ("lifecycle.end", Kind.RUN_END),
        ("lifecycle.error", Kind.RUN_ERROR),
        ("session.compaction_end", Kind.COMPACTION),
        ("session.compaction_start", Kind.OTHER),
        ("memory.fact", Kind.MEMORY),
        ("migration.file", Kind.MEMORY),
        ("migration.daily_note", Kind.NOTE),
        ("migration.section", Kind.NOTE),
        ("memory", Kind.OTHER),
        ("memoryless.x", Kind.OTHER),
        ("", Kind.OTHER),
    ],
)
def test_kinds(name: str, kind: Kind) -> None:
    """What reading cares about follows from the document's name; memories are known by their beginning."""
    assert kind_of(name) is kind


def test_the_numbers_of_kinds_are_fixed() -> None:
    """They are stored in the index, and its SQL says 8 and 11 for memories."""
    assert [int(kind) for kind in Kind] == list(range(12))
    assert [int(kind) for kind in MEMORIES] == [8, 11]
