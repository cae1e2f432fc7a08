"""Which events answer a query, in what order, and who may be among them."""

# ruff: noqa: S608 - names of tables come from the code; what comes from outside is bound

from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventd.events.normal import Normal
from eventd.events.types import Kind
from eventd.index import candidates
from eventd.index.ranking import matching, rank
from eventd.index.words import PUBLIC, delete_sql, indexed, insert_sql, lexicon_sql, parse_query

NOON = 1_684_238_400_000  # 16 May 2023, a Tuesday
FILLER = [
    "the weather is fine",
    "lunch was good",
    "see you later then",
    "a long day at work",
    "music is playing",
]


class Index:
    """The tables of the index, filled by hand."""

    def __init__(self) -> None:
        self.db = apsw.Connection(":memory:")
        self.db.execute(files("eventd.index").joinpath("schema.sql").read_text())
        self.tables: set[str] = set()
        self.n = 0

    def add(
        self, text: str, *, agent: int = 1, session: int = 1, speaker: str = "", time: int | None = None,
        tables: tuple[str, ...] = (),
    ) -> int:  # fmt: skip
        """Store a message and return its number; it goes into its agent's table, or into those named."""
        self.n += 1
        time = NOON + self.n * 1000 if time is None else time
        data = {"from": speaker} if speaker else {}
        event = Normal(
            "",
            time,
            "",
            "",
            "conversation.message.in",
            Kind.MESSAGE_IN,
            "internal",
            "",
            text,
            "",
            "",
            False,
            data,
            {},
        )
        words = indexed(event, time)
        row = (
            self.n,
            1,
            self.n,
            None,
            None,
            agent,
            session,
            1,
            1,
            1,
            0,
            time,
            time,
            words.words,
            "",
            "",
            "",
            b"{}",
        )
        self.db.execute(f"INSERT INTO events VALUES ({','.join('?' * 18)})", row)
        for table in tables or (f"fts_{agent}",):
            if table not in self.tables:
                self.db.execute(lexicon_sql(table))
                self.tables.add(table)
            self.db.execute(insert_sql(table), (self.n, *words.columns))
        return self.n

    def fill(self, count: int, *, agent: int = 1, session: int = 1) -> None:
        """Store events that are about nothing in particular."""
        for i in range(count):
            self.add(FILLER[i % len(FILLER)], agent=agent, session=session)

    def ask(
        self, query: str, *, tables: tuple[str, ...] = ("fts_1",), limit: int = 10, condition: str = "",
        values: tuple[int, ...] = (), apart: int = 0,
    ) -> list[int]:  # fmt: skip
        """The numbers of the events that answer, best first."""
        hits = rank(
            self.db, tables, parse_query(query), limit=limit, condition=condition, values=values, apart=apart
        )
        assert all(first.score >= second.score for first, second in pairwise(hits))
        return [hit.n for hit in hits]


@pytest.fixture
def index() -> Iterator[Index]:
    """An empty index."""
    index = Index()
    yield index
    index.db.close()


def test_more_words_of_the_query_rank_higher(index: Index) -> None:
    """What holds all of a query comes before what holds a part of it."""
    index.fill(20)
    index.add("the red house", session=2)
    best = index.add("my sister has a red house in Berlin", session=3)
    index.add("my sister", session=4)
    assert index.ask("red house of my sister in Berlin")[0] == best


def test_words_side_by_side_rank_higher(index: Index) -> None:
    """Words that belong together in the query are looked for together."""
    index.fill(20)
    index.add("the board of the white house and other things to do, later black", session=2)
    best = index.add("the other things to do later of the white board, house black", session=3)
    assert index.ask("white board")[0] == best


def test_names_alone_do_not_win(index: Index) -> None:
    """Who is asked about decides between turns about the same, not over what is asked."""
    for i in range(20):
        index.add(FILLER[i % 5], speaker="Caroline" if i % 2 else "Melanie", session=5 + i)
    other = index.add("I adopted a puppy", speaker="Melanie", session=2)
    asked = index.add("I adopted a puppy", speaker="Caroline", session=3)
    assert index.ask("Which puppy did Caroline adopt?")[:2] == [asked, other]


def test_days_can_be_asked_for(index: Index) -> None:
    """The day on which something was said is among its words."""
    index.fill(20)
    index.add("we went to the lake", session=2, time=NOON - 40 * 86_400_000)
    asked = index.add("we went to the lake", session=3)
    assert index.ask("the lake in May 2023")[0] == asked


def test_hits_lend_to_their_neighbours(index: Index) -> None:
    """The answer that follows a question is found without a word of the query; a farther one is not."""
    index.fill(20)
    question = index.add("which puppy did you adopt", session=2)
    answer = index.add("the brown one", session=2)
    index.add("yes, really", session=2)
    index.add("far away", session=2)
    assert index.ask("adopted puppy")[:2] == [question, answer]
    assert index.n not in index.ask("adopted puppy")


def test_lending_stays_in_the_session(index: Index) -> None:
    """What happened next in another session has nothing to do with it."""
    index.fill(20)
    index.add("which puppy did you adopt", session=2)
    stranger = index.add("the brown one", session=3)
    assert stranger not in index.ask("adopted puppy")


def test_long_neighbours_get_less(index: Index) -> None:
    """A long text is about more than what stands beside it."""
    index.fill(20)
    long = index.add("something else " * 200, session=2)
    index.add("which puppy did you adopt", session=2)
    short = index.add("the brown one", session=2)
    found = index.ask("adopted puppy")
    assert found.index(short) < found.index(long)


def test_neighbours_go_by_time_not_by_arrival(index: Index) -> None:
    """Events of other hosts arrive late."""
    index.fill(20)
    hit = index.add("which puppy did you adopt", session=2, time=NOON)
    index.add("one", session=2, time=NOON + 9000)
    index.add("two", session=2, time=NOON + 8000)
    late = index.add("three", session=2, time=NOON + 1000)
    assert index.ask("adopted puppy")[:2] == [hit, late]


def test_many_events_of_one_millisecond_are_neighbours_by_number(index: Index) -> None:
    """An import may give everything the same time."""
    index.fill(20)
    for _ in range(50):
        index.add("one of many", session=2, time=NOON)
    hit = index.add("which puppy did you adopt", session=2, time=NOON)
    following = index.add("the brown one", session=2, time=NOON)
    for _ in range(50):
        index.add("one of many", session=2, time=NOON)
    assert index.ask("adopted puppy")[:3] == [hit, hit - 1, following] or index.ask("adopted puppy")[:3] == [
        hit, following, hit - 1,
    ]  # fmt: skip


def test_scope_is_applied_before_any_limit(index: Index) -> None:
    """However many better ones are out of scope, the one in scope is found."""
    wanted = index.add(
        "puppy among a lot of other words that make it a worse answer than the rest", session=7
    )
    for i in range(3 * candidates.BUDGET // 2):
        index.add("puppy", session=8 + i % 50)
    index.fill(50, session=9)
    assert index.ask("puppy", limit=3, condition="e.session = ?", values=(7,)) == [wanted]


def test_what_is_out_of_scope_neither_lends_nor_gets(index: Index) -> None:
    """A neighbour that may not be seen might as well not be there."""
    index.fill(20)
    hidden = index.add("which puppy did you adopt", session=2, time=NOON)
    index.add("the brown one", session=2, time=NOON + 1)
    assert index.ask("adopted puppy", condition=f"e.n <> {hidden}") == []
    seen = index.add("a puppy", session=3)
    secret = index.add("told in secret", session=3)
    after = index.add("told to all", session=3)
    assert index.ask("puppy", condition=f"e.n NOT IN ({secret}, {hidden})") == [seen, after]


def test_other_agents_change_nothing(index: Index) -> None:
    """Neither order nor score depend on what others store."""
    index.fill(20)
    for text in ("the red house", "my sister's red car", "a house for my sister"):
        index.add(text, session=index.n)
    query = parse_query("red house of my sister")
    before = rank(index.db, ["fts_1"], query, limit=10, condition="e.agent = ?", values=(1,))
    for _ in range(200):
        index.add("red red house sister", agent=2)
    assert rank(index.db, ["fts_1"], query, limit=10, condition="e.agent = ?", values=(1,)) == before


def test_public_events_are_merged_in(index: Index) -> None:
    """An own event that is public too counts once; others' public ones are found beside own ones."""
    index.fill(20)
    index.fill(20, agent=2)
    both = index.add("I adopted a puppy", session=2, tables=("fts_1", PUBLIC))
    others = index.add("somebody adopted a puppy", agent=2, session=3, tables=("fts_2", PUBLIC))
    for text in FILLER:
        index.add(text, agent=2, session=4, tables=("fts_2", PUBLIC))
    assert index.ask("adopted puppy", tables=("fts_1", PUBLIC))[:2] == [both, others] or index.ask(
        "adopted puppy", tables=("fts_1", PUBLIC)
    )[:2] == [others, both]
    found = index.ask("adopted puppy", tables=("fts_1", PUBLIC), limit=50)
    assert len(found) == len(set(found))


def test_deleted_events_are_not_found(index: Index) -> None:
    """What was forgotten neither answers nor lends."""
    index.fill(20)
    gone = index.add("which puppy did you adopt", session=2)
    index.add("the brown one", session=2)
    index.db.execute(delete_sql("fts_1"), (gone,))
    index.db.execute("DELETE FROM events WHERE n = ?", (gone,))
    assert index.ask("adopted puppy") == []


def test_equals_come_in_the_order_of_arrival(index: Index) -> None:
    """The same question gets the same answer."""
    index.fill(20)
    same = [index.add("a puppy", session=10 + i) for i in range(30)]
    assert index.ask("puppy", limit=30) == same
    assert index.ask("puppy", limit=30) == same


def test_frequent_words_find_the_newest(index: Index) -> None:
    """Where no word is rare, the budget is spent on the newest events, and in a small scope on all of it."""
    for i in range(candidates.SMALL + 500):
        index.add("status of project" if i % 2 else "project status report", session=i // 100)
    newest = index.ask("project status", limit=10)
    assert min(newest) > index.n - 2 * candidates.BUDGET
    old = index.ask("project status", limit=10, condition="e.session = ?", values=(3,))
    assert len(old) == 10
    assert all(300 < n <= 400 for n in old)


def test_apart_leaves_out_what_is_shown_beside_another(index: Index) -> None:
    """Answers that show neighbours anyway do not name these again."""
    index.fill(20)
    first = index.add("which puppy did you adopt", session=2)
    second = index.add("the puppy is brown", session=2)
    other = index.add("a puppy", session=3)
    assert set(index.ask("adopted puppy")) == {first, second, other}
    assert set(index.ask("adopted puppy", apart=1)) == {first, other}


def test_nothing_asked_nothing_found(index: Index) -> None:
    """No words, no table, no events, no room: no hits."""
    index.add("a puppy")
    assert (
        index.ask("") == index.ask("?!") == index.ask("puppy", limit=0) == index.ask("puppy", tables=()) == []
    )
    index.db.execute(lexicon_sql("fts_9"))
    assert index.ask("puppy", tables=("fts_9",)) == []
    sql, values = matching((), "puppy")
    assert index.db.execute(sql, values).fetchall() == []


def test_a_huge_text_does_not_hold_up_others(index: Index) -> None:
    """A text of one word a hundred thousand times is a row like any other."""
    index.fill(20)
    for i in range(3):
        index.add("puppy " * 40_000, session=2 + i)
    best = index.add("I adopted a puppy", session=9)
    assert index.ask("adopted puppy")[0] == best


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=80))
def test_no_query_raises(query: str) -> None:
    """Queries are data, all the way to the ranking."""
    _INDEX.ask(query)


_INDEX = Index()
_INDEX.fill(30)
