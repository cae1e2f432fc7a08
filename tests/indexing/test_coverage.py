"""Which sequences nobody has to read, since they are our own settled rows."""

from hypothesis import given
from hypothesis import strategies as st

from eventd.indexing.coverage import Coverage
from eventd.outbox.model import Run


def run(seq: int, count: int) -> Run:
    """A run of so many rows from a sequence on; their outbox numbers do not matter."""
    return Run(1, count, count, seq)


def test_nothing_is_covered_without_runs() -> None:
    assert Coverage(()).reach(7) == 7


def test_a_run_is_left_behind_from_before_it_and_from_within() -> None:
    coverage = Coverage([run(11, 10)])
    assert [coverage.reach(position) for position in (9, 10, 15, 20, 21)] == [9, 20, 20, 20, 21]


def test_runs_that_touch_are_left_behind_together() -> None:
    """In whatever order they were settled; a gap of one sequence is read."""
    coverage = Coverage([run(31, 5), run(11, 10), run(21, 5), run(27, 2)])
    assert coverage.reach(10) == 25
    assert coverage.reach(26) == 28
    assert coverage.reach(30) == 35


runs = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 12)), max_size=8)


@given(runs, st.integers(0, 80))
def test_what_is_passed_over_is_covered_and_what_comes_next_is_not(
    drawn: list[tuple[int, int]], position: int
) -> None:
    """Also where runs overlap, as after a repair."""
    covered = {seq + n for seq, count in drawn for n in range(count)}
    reach = Coverage([run(seq, count) for seq, count in drawn]).reach(position)
    assert reach >= position
    assert covered.issuperset(range(position + 1, reach + 1))
    assert not drawn or reach + 1 not in covered
