"""Lists of facts are read in every shape; of what is torn, what can be read, and the damage is told."""

import json

import pytest

from eventd.migration.factfile import FactList, parse, text_of


def texts(found: FactList) -> list[str]:
    return [text_of(item) for item in found.items]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("items.json", '[{"fact": "a"}, {"content": "b"}, {"text": "c"}]', ["a", "b", "c"]),
        ("items.json", '\ufeff{"fact": "a"}', ["a"]),
        ("facts.json", '{"entity": "x", "facts": [{"fact": "a"}, "b"]}', ["a", "b"]),
        ("facts.json", '{"items": {"one": {"fact": "a"}, "two": {"fact": "b"}}}', ["a", "b"]),
        ("facts.json", '{"x-001": {"fact": "a"}, "x-002": {"fact": "b"}}', ["a", "b"]),
        ("facts.jsonl", '{"fact": "a"}\n\n{"fact": "b"}\r\n', ["a", "b"]),
        ("items.yaml", "- fact: a\n  timestamp: 2026-01-01\n- content: b\n", ["a", "b"]),
        ("items.yaml", "items:\n  - {fact: a}\n", ["a"]),
        ("items.json", "[]", []),
        ("items.json", "  \n", []),
    ],
)
def test_shapes(name: str, text: str, expected: list[str]) -> None:
    """All of them without damage."""
    found = parse(text, name)
    assert texts(found) == expected
    assert found.damage == []


def test_ids_and_dates_stay_what_they_are() -> None:
    """The key of a map is its item's id; YAML makes no dates of texts."""
    assert parse('{"x-001": {"fact": "a"}, "x-002": {"fact": "b"}}', "facts.json").items[0]["id"] == "x-001"
    assert parse("- {fact: a, timestamp: 2026-01-01}", "items.yaml").items[0]["timestamp"] == "2026-01-01"


PRETTY = json.dumps([{"id": f"x-{n}", "fact": f"fact {n}", "tags": ["a"]} for n in range(5)], indent=2)


def test_torn_json() -> None:
    """The end is missing: all before it is read, and the line where it breaks off is told."""
    found = parse(PRETTY[: PRETTY.index("fact 4")], "items.json")
    assert texts(found) == ["fact 0", "fact 1", "fact 2", "fact 3"]
    [damage] = found.damage
    assert damage.line == PRETTY[: PRETTY.index('"x-4"')].count("\n")


def test_json_with_a_hole() -> None:
    """What stands behind it is read, too."""
    found = parse(PRETTY.replace('"fact": "fact 2"', '"fact": fact 2'), "items.json")
    assert texts(found) == ["fact 0", "fact 1", "fact 3", "fact 4"]
    assert len(found.damage) == 1


@pytest.mark.parametrize("cut", range(0, len(PRETTY), 7))
def test_json_torn_anywhere(cut: int) -> None:
    """Every fact that is whole is read, and the damage is told."""
    found = parse(PRETTY[:cut], "items.json")
    whole = PRETTY[:cut].count("\n  }")
    assert texts(found) == [f"fact {n}" for n in range(whole)]
    assert found.damage or not PRETTY[:cut].strip()


def test_torn_wrapped_json() -> None:
    """An object around the facts is torn with them."""
    text = '{\n  "facts": [\n    {"fact": "a"},\n    {"fact": "b"},\n    {"fact": '
    found = parse(text, "facts.json")
    assert texts(found) == ["a", "b"]
    assert [damage.line for damage in found.damage] == [5]


def test_torn_lines() -> None:
    """Each line stands for itself."""
    found = parse('{"fact": "a"}\n{"fact":\nnull\n{"fact": "b"}\n{"x": 1}\n', "facts.jsonl")
    assert texts(found) == ["a", "b"]
    assert [damage.line for damage in found.damage] == [2, 5]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("items.yaml", "- fact: a\n  b: [\n"),
        ("items.yaml", "- &a {fact: x}\n- *a\n"),
        ("items.yaml", "- !!python/object/apply:os.system ['true']\n"),
        ("items.yaml", "[" * 2000),
        ("items.yaml", "x: \x01\n"),
        ("items.yaml", "a: 1\na: {[]: 1}\n"),
        ("items.json", "[" * 100_000),
        ("items.json", '{"a":' * 100_000),
        ("items.json", '[{"fact": "\\ud800"}]'),
        ("items.json", '[{"fact": "a", "x": NaN}]'),
        ("items.json", "7"),
        ("items.json", '[{"nothing": 1}]'),
        ("items.jsonl", "[" * 100_000),
    ],
)  # fmt: skip
def test_nonsense_is_told(name: str, text: str) -> None:
    """It raises nothing, and gives no fact."""
    found = parse(text, name)
    assert found.items == []
    assert found.damage
