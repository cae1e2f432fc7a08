"""An item becomes a fact that every event can hold; its names count within the agent."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventd.migration.dating import Dated
from eventd.migration.events import Draft
from eventd.migration.factfile import parse
from eventd.migration.facts import drafts
from eventd.migration.kinds import kind_of
from eventd.migration.walk import Found
from eventd_ipc.events import Event
from eventd_ipc.strict import decode_event
from migration.support import MAX_EVENT, NOW

PATH = "life/areas/people/jane-doe/items.yaml"


def made(text: str, name: str = "items.yaml", path: str = PATH) -> list[Draft]:
    """The facts of a file."""
    kind = kind_of(path)
    assert kind is not None
    found = Found(path.encode(), Path(path), 0, kind)
    return drafts(parse(text, name).items, found, Dated(1, "modified"), NOW, MAX_EVENT)


def data(text: str, **options: str) -> dict[str, Any]:
    [draft] = made(text, **options)
    return draft.data


def test_all_of_an_item_is_kept() -> None:
    """What the context reads by its names, and the rest as it was."""
    found = data("- {id: x-1, fact: Sings, category: status, source: chat, tags: [a], mood: {now: good}}")
    assert found == {
        "text": "Sings",
        "path": PATH,
        "subject": "Jane Doe",
        "entity": "people/jane-doe",
        "name": "Jane Doe",
        "factId": "people/jane-doe/x-1",
        "itemId": "x-1",
        "status": "active",
        "category": "status",
        "source": "chat",
        "tags": ["a"],
        "dateSource": "modified",
        "raw": {
            "id": "x-1",
            "fact": "Sings",
            "category": "status",
            "source": "chat",
            "tags": ["a"],
            "mood": {"now": "good"},
        },
    }


def test_names_of_the_file_are_qualified_and_others_are_not() -> None:
    """What supersedes may be told in a text, a list, or a map."""
    items = "- {id: a, fact: x}\n- {id: b, fact: y, supersedes: [a, {id: a}, elsewhere], supersededBy: c}"
    [_, fact] = made(items)
    assert fact.data["supersedes"] == ["people/jane-doe/a", "people/jane-doe/a", "elsewhere"]
    assert fact.data["supersededBy"] == "c"


def test_a_fact_that_stands_there_twice_is_one() -> None:
    """Reading it makes no difference."""
    assert len(made("- {fact: x, accessCount: 1}\n- {fact: x, accessCount: 2}\n- {fact: x, id: 1}")) == 2


@pytest.mark.parametrize(
    "odd",
    ["1e999999", ".nan", ".inf", "!!binary aGVsbG8=", "123456789012345678901234567890", "{1: 2}",
     "!!set {a, b}", "{? [a] : b}", "[" * 60 + "]" * 60, "{a: " * 60 + "1" + "}" * 60, "!!omap [a: 1]"],
)  # fmt: skip
@pytest.mark.parametrize(
    "key", ["category", "tags", "status", "supersededBy", "supersedes", "id", "timestamp", "x"]
)
def test_what_no_event_holds_is_left_to_the_file(key: str, odd: str) -> None:
    """The fact is stored all the same."""
    for draft in made(f"- {{fact: Sings, {key}: {odd}}}"):
        event = Event(draft.type, id="x", timestamp=draft.time, payload={"data": draft.data})
        assert decode_event(msgspec.msgpack.encode(event)).payload["data"]["text"] == "Sings"
