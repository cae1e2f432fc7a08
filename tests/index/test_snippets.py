"""The passage that is shown of an event."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventd.index.snippets import snippet
from eventd.index.words import parse_query

FILLER = "Nothing of interest is said here for quite a while. " * 20


def test_short_texts_are_shown_whole() -> None:
    """On one line."""
    assert snippet("a  red\nhouse", parse_query("house"), 80) == "a red house"


def test_the_best_passage_is_shown() -> None:
    """Where most words of the query stand, not where one of them comes first."""
    text = f"A house. {FILLER} My sister bought a red house in Berlin last year. {FILLER}"
    shown = snippet(text, parse_query("Which house did my sister buy in Berlin?"), 80)
    assert "sister bought a red house in Berlin" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) <= 80


def test_without_a_word_the_beginning_is_shown() -> None:
    """A neighbour that was lent to holds none."""
    shown = snippet(FILLER, parse_query("zebra"), 40)
    assert shown.startswith("Nothing of interest")
    assert shown.endswith("…")


@pytest.mark.parametrize(
    ("text", "query", "seen"),
    [
        (f"{FILLER} we painted a fence {FILLER}", "painting", "painted"),
        (f"{FILLER} Käse aus Holland {FILLER}", "kase", "Käse"),
        ("あ" * 200 + "私は東京に住んでいます" + "い" * 200, "東京", "東京"),
        (f"{FILLER} see daemon/eventd/app.py there {FILLER}", "app.py", "app.py"),
        (f"{FILLER} she WENT home {FILLER}", "go", "WENT"),
    ],
)
def test_words_are_shown_in_their_spelling(text: str, query: str, seen: str) -> None:
    """Other forms of a word are the word, and the text stays as it was."""
    assert seen in snippet(text, parse_query(query), 60)


def test_letters_keep_their_marks() -> None:
    """No cut between a letter and its accent, or inside a joined emoji or a flag."""
    for unit in ("e\u0301", "👩\u200d👩\u200d👧", "👍🏽", "\u0e01\u0e33\u0e48"):
        text = unit * 400
        for width in range(20, 40):
            shown = snippet(text, parse_query("x"), width).removesuffix("…")
            assert len(shown) <= width
            assert not shown.endswith("\u200d")
            rest = text[len(shown) :]
            assert not unicodedata.category(rest[0]).startswith("M")
            assert rest[0] != "\u200d"


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=300), st.text(st.characters(), max_size=40), st.integers(0, 120))
def test_any_text_has_a_passage(text: str, query: str, width: int) -> None:
    """Never longer than asked for, never on more than one line."""
    shown = snippet(text, parse_query(query), width)
    assert len(shown) <= width
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    "text", ["a" * 262_144, "ab " * 87_000, "東" * 262_144, "e" + "\u0301" * 262_143, " " * 262_144]
)
def test_huge_texts_are_no_trouble(text: str) -> None:
    """Work is bounded by what is looked at."""
    for query in ("ab", "a b c d e f", "東京", "x" * 60):
        assert len(snippet(text, parse_query(query), 100)) <= 100
