"""Facts that hold and items that are open, by the conventions of `memory.*` events."""

from typing import Any

from context.stories import Writer
from context.support import MemorySource
from eventd.context import memory


def held(writer: Writer, most: int = 100) -> list[str]:
    found, _ = memory.facts(MemorySource(writer.events).entries, [], most)
    return [fact.text for fact in found]


def open_items(writer: Writer) -> list[str]:
    found, _ = memory.pending(MemorySource(writer.events).entries)
    return [item.text for item in found]


def test_the_newest_fact_comes_first() -> None:
    """And only so many are read as are wanted."""
    w = Writer()
    for number in range(5):
        w.fact(f"fact {number}")
    assert held(w, 2) == ["fact 4", "fact 3"]


def test_texts_may_stand_under_other_names() -> None:
    """`fact` and `content`, in `payload.data` or in `payload` itself."""
    w = Writer()
    w.event("memory.fact", {"fact": "a"})
    w.event("memory.fact", {"content": "b"})
    event = w.event("memory.fact", None)
    event["payload"] = {"text": "c"}
    assert held(w) == ["c", "b", "a"]


def test_a_fact_is_replaced_by_id_name_or_status() -> None:
    """One replaced fact stays replaced even when what replaced it is replaced, too."""
    w = Writer()
    first = w.fact("by event id")
    w.fact("by name", factId="n-1")
    w.fact("by status", status="superseded")
    w.fact("by mark", supersededBy="whatever")
    w.fact("same name, old", factId="n-2")
    w.fact("second", supersedes=[first["id"], "n-1"], factId="n-3")
    w.fact("same name, new", factId="n-2")
    w.fact("third", supersedes="n-3")
    assert held(w) == ["third", "same name, new"]


def test_closing_a_name_closes_all_of_it() -> None:
    """A fact that was withdrawn under its name does not come back in its older form."""
    w = Writer()
    w.fact("Anna works at Acme.", factId="job")
    w.fact("Anna works at Acme.", factId="job", status="superseded")
    assert held(w) == []


def test_the_same_text_counts_once() -> None:
    """However often it was noted."""
    w = Writer()
    w.fact("Lena has a nut allergy.")
    w.fact("Lena has a  nut allergy.")
    assert held(w) == ["Lena has a  nut allergy."]


def test_nobody_replaces_what_others_keep() -> None:
    """Names count within one agent."""
    w, other = Writer(), Writer(agent="office")
    w.fact("mine", factId="x")
    other.fact("theirs", factId="x", supersedes="x", visibility="public")
    found, _ = memory.facts(MemorySource(w.events).entries, MemorySource(other.events).entries, 10)
    assert {fact.text for fact in found} == {"mine", "theirs"}


def test_what_others_share_drives_out_nothing() -> None:
    """However much it is, and however new: three quarters are the agent's own, where it has as many."""
    w, other = Writer(), Writer(agent="office")
    for number in range(20):
        w.fact(f"mine {number}")
    for number in range(20):
        other.fact(f"theirs {number}", visibility="public")
    own, shared = MemorySource(w.events).entries, MemorySource(other.events).entries
    found, _ = memory.facts(own, shared, 8)
    assert sum(fact.text.startswith("mine") for fact in found) == 6
    assert len(found) == 8
    found, _ = memory.facts(own[:3], shared, 8)
    assert sum(fact.text.startswith("mine") for fact in found) == 3
    assert len(found) == 8


def test_open_items_are_closed_in_each_way() -> None:
    """By name, by what resolves them, by the same text, or not at all."""
    w = Writer()
    ids: list[Any] = [w.event("memory.pending", {"text": f"item {n}"})["id"] for n in range(6)]
    w.event("memory.pending", {"text": "named", "pendingId": "p"})
    w.event("memory.pending", {"pendingId": "p", "status": "done"})
    w.event("memory.pending", {"status": "done", "resolves": ids[0]})
    w.event("memory.resolved", {"resolves": [ids[1], ids[2]]})
    w.event("memory.pending", {"text": "item 3", "status": "done"})
    w.event("memory.pending", {"text": "renamed", "id": "q"})
    w.event("memory.pending", {"text": "renamed again", "id": "q"})
    assert open_items(w) == ["renamed again", "item 5", "item 4"]


def test_a_finished_item_can_be_opened_again() -> None:
    """Only what is later closes."""
    w = Writer()
    w.event("memory.pending", {"text": "water the plants", "status": "done"})
    w.event("memory.pending", {"text": "water the plants"})
    assert open_items(w) == ["water the plants"]


def test_odd_data_is_read_as_far_as_it_goes() -> None:
    """Nothing raises for what other writers store."""
    w = Writer()
    odd: list[Any] = [
        None,
        7,
        [],
        "text",
        {"text": 7},
        {"text": ["a", {"text": "b"}]},
        {"supersedes": {"id": [[1]]}},
    ]
    for data in odd:
        w.event("memory.fact", data)
        w.event("memory.pending", data)
    w.fact("fine", supersedes=[None, 3, {"id": "x"}, [["y"]]], subject=4, relatedEntities=[1], category=None)
    assert held(w)[0] == "fine"
    assert open_items(w)
