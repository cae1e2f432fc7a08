"""JSON is edited in place: what is asked for changes, and not one byte else."""

import json
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connecting.documents import NAMES, OBJECTS, VALUES, texts
from eventd.connecting.json5 import NotJson
from eventd.connecting.jsonedit import WrongShape, append, put, read, remove

NEW = "eventd-was-here"
many = settings(max_examples=500 if os.environ.get("EVENTD_FAULTS") == "full" else 50)


@many
@given(OBJECTS.flatmap(lambda value: st.tuples(st.just(value), texts(value))))
def test_what_is_written_in_any_style_is_read(pair: tuple[dict[str, Any], str]) -> None:
    """Comments, commas and quotes change nothing about what it says."""
    value, text = pair
    assert read(text) == value


@many
@given(texts(), VALUES)
def test_a_member_that_is_added_is_the_only_change(text: str, value: Any) -> None:
    """Everything that was there is there still, in its order; and removing it leaves the old bytes."""
    added = put(text, [NEW], value)
    assert read(added) == read(text) | {NEW: value}
    assert _is_subsequence(text, added) or not read(text)
    removed = remove(added, [NEW])
    assert removed == text or (not read(text) and read(removed) == {})


@many
@given(texts(), st.lists(NAMES, min_size=1, max_size=3), VALUES)
def test_deep_inside_of_it_too(text: str, names: list[str], value: Any) -> None:
    """Objects and lists on the way are made; where something else is in the way, nothing is."""
    try:
        added = append(text, [*names, NEW], value)
    except WrongShape:
        found = read(text)
        for name in names:
            found = found.get(name, {})
            if not isinstance(found, dict):
                return
        raise
    expected = read(text)
    inner = expected
    for name in names:
        inner = inner.setdefault(name, {})
    inner[NEW] = [value]
    assert read(added) == expected
    again = append(added, [*names, NEW], value)
    assert remove(again, [*names, NEW, 1]) == added


@many
@given(texts(), st.data())
def test_anything_can_be_removed(text: str, data: st.DataObject) -> None:
    """And only that."""
    value = read(text)
    if not value:
        return
    name = data.draw(st.sampled_from(sorted(value)))
    assert read(remove(text, [name])) == {key: each for key, each in value.items() if key != name}


@many
@given(texts(), st.data())
def test_a_value_that_is_replaced_keeps_its_place(text: str, data: st.DataObject) -> None:
    """Its name and its neighbours too."""
    value = read(text)
    if not value:
        return
    name = data.draw(st.sampled_from(sorted(value)))
    replaced = put(text, [name], NEW)
    assert read(replaced) == value | {name: NEW}
    assert list(read(replaced)) == list(value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n  "new": [\n    1\n  ]\n}'),
        ("{}\n", '{\n  "new": [\n    1\n  ]\n}\n'),
        ('{"a":1}', '{"a":1, "new": [1]}'),
        ('{\n\t"a": 1\n}', '{\n\t"a": 1,\n\t"new": [\n\t\t1\n\t]\n}'),
        ('{\r\n    "a": 1\r\n}', '{\r\n    "a": 1,\r\n    "new": [\r\n        1\r\n    ]\r\n}'),
        ("{\n  a: 1, // one\n}", '{\n  a: 1, // one\n  "new": [\n    1\n  ],\n}'),
        ("{\n  a: 1 // one\n}", '{\n  a: 1, // one\n  "new": [\n    1\n  ]\n}'),
        ("{\n  // nothing yet\n}", '{\n  // nothing yet\n  "new": [\n    1\n  ]\n}'),
    ],
    ids=["empty", "empty line", "one line", "tabs", "CRLF", "last comma", "comment", "only a comment"],
)
def test_what_is_added_looks_like_what_is_there(before: str, after: str) -> None:
    """Indentation, line ends and last commas."""
    assert put(before, ["new"], [1]) == after
    assert remove(after, ["new"]) == before


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1, column 1: a value"),
        ('{"a": 1} {"b": 2}', "line 1, column 10: something stands behind"),
        ('{\n  "a" 1\n}', "line 2, column 7: a colon"),
        ('{"a": 1', "a comma or }"),
        ('{"a": "x\n"}', "a text without an end"),
        ('{"a": 1 /* }', "a comment without an end"),
        ('{"a": 1e}', "this is no value"),
        ("[" * 200, "too many levels"),
        ('{"a": "\\u12"}', "digits are missing"),
        ("{a: nullx}", "this is no value"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(text: str, where: str) -> None:
    """And nothing is guessed."""
    with pytest.raises(NotJson, match="line ") as raised:
        read(text)
    assert where in str(raised.value)


@many
@given(st.text(alphabet="{}[]\",:/*\\ \n1ae'", max_size=20))
def test_any_text_is_json_or_refused(text: str) -> None:
    """No other error; and all that is JSON is read as Python reads it."""
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    try:
        found = read(text)
    except NotJson:
        found = None
    assert found == expected or expected is None


def _is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(character in rest for character in part)
