"""Fair shares, and texts cut where people would cut them."""

from hypothesis import given
from hypothesis import strategies as st

from eventd.context.cutting import cut, excerpt, shares

needs_of = st.lists(st.integers(0, 500), max_size=12)


@given(needs_of, st.integers(0, 3000))
def test_shares_are_fair(needs: list[int], total: int) -> None:
    """Nobody gets more than it needs, nothing is given twice, and who gets less than asked gets the most."""
    given_ = shares(needs, total)
    assert all(0 <= share <= need for share, need in zip(given_, needs, strict=True))
    assert sum(given_) <= total
    if sum(needs) <= total:
        assert given_ == needs
    short = [share for share, need in zip(given_, needs, strict=True) if share < need]
    assert all(share >= max(given_) - len(needs) for share in short)


def test_weights_count() -> None:
    """Twice the weight, twice the room, as long as it is needed."""
    assert shares([900, 900, 10], 310, [2, 1, 1]) == [200, 100, 10]


@given(st.text(), st.integers(0, 200))
def test_cut_keeps_to_its_size(text: str, size: int) -> None:
    """Whatever the text is."""
    assert len(cut(text, size)) <= size or len(text) <= size
    assert len(excerpt(text, size, frozenset({"a", "b"}))) <= max(size, 0) or len(text) <= size


def test_beginning_and_end_of_a_long_text_are_kept() -> None:
    """Cut between sentences."""
    text = "The broker is down. " + "It logs a line each second. " * 50 + "Restart it at noon."
    assert cut(text, 120) == (
        "The broker is down. It logs a line each second. It logs a line each second. […] Restart it at noon."
    )


def test_words_are_not_cut() -> None:
    """Where there is no sentence to end with."""
    assert cut("one two three four five six seven eight", 24) == "one two three four […]"


def test_scripts_without_spaces_are_cut_between_characters() -> None:
    """An accent or the skin of an emoji stays with its character."""
    assert cut("数" * 50, 20) == "数" * 16 + " […]"
    assert cut("a" * 15 + "👍🏽" + "b" * 50, 20) == "a" * 15 + " […]"


def test_an_excerpt_is_about_the_words() -> None:
    """A passage of a long text is where the words of the query are."""
    text = "Nothing here. " * 40 + "The printer error is 0x61011bed. Reset it. " + "Nothing there. " * 40
    found = excerpt(text, 120, frozenset({"printer", "error"}))
    assert "The printer error is 0x61011bed." in found
    assert found.startswith("[…] ")
    assert found.endswith(" […]")
