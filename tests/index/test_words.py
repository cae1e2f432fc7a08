"""What is found by which query: identifiers, scripts without spaces, hostile strings."""

import json
from collections.abc import Iterator

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventd.events.normal import MAX_TEXT, Normal, normalise
from eventd.index.ranking import matching
from eventd.index.words import (
    MAX_TERMS,
    Indexed,
    date_words,
    delete_sql,
    indexed,
    insert_sql,
    lexicon_sql,
    parse_query,
    quoted,
)

NOON = 1_684_238_400_000  # 16 May 2023, 12:00 UTC, a Tuesday


def message(text: str, **data: object) -> Normal:
    """A message as it comes out of the stream."""
    body = {"type": "msg.in", "payload": {"data": {"text": text, **data}}}
    event = normalise(json.dumps(body).encode())
    assert event is not None
    return event


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    """A full-text table."""
    with apsw.Connection(":memory:") as connection:
        connection.execute(lexicon_sql("fts_1"))
        yield connection
    connection.close()


def asked(db: apsw.Connection, query: str) -> list[int]:
    """The rows that hold any word of a query."""
    ways = [way for term in parse_query(query).terms for way in term]
    if not ways:
        return []
    match = " OR ".join(map(quoted, ways))
    return [row[0] for row in db.execute("SELECT rowid FROM fts_1 WHERE fts_1 MATCH ?", (match,))]


def filtered(db: apsw.Connection, text: str) -> list[int]:
    """The rows that hold all words of a text."""
    sql, values = matching(["fts_1"], text)
    return [row[0] for row in db.execute(sql, values)]


FOUND = [
    ("I met my sister in Berlin", "sister"),
    ("I met my sister in Berlin", "sisters"),
    ("call getUserName first", "getUserName"),
    ("call getUserName first", "username"),
    ("call getUserName first", "user name"),
    ("call getUserName first", "get user"),
    ("call getUserName first", "getusername"),
    ("an HTTPServer is up", "server"),
    ("set user_name now", "username"),
    ("set user_name now", "user name"),
    ("set user_name now", "user_name"),
    ("set username now", "user_name"),
    ("she sent an e-mail", "email"),
    ("she sent an email", "e-mail"),
    ("see daemon/eventd/app.py", "app.py"),
    ("see daemon/eventd/app.py", "daemon/eventd/app.py"),
    ("see daemon/eventd/app.py", "eventd"),
    ("nats-server 2.12.1 is out", "2.12.1"),
    ("nats-server 2.12.1 is out", "nats-server"),
    ("fixed in 8877705a1b2c3d4e5f60718293a4b5c6d7e8f901", "8877705a1b2c"),
    ("私は東京に住んでいます", "東京"),
    ("私は東京に住んでいます", "京"),
    ("私は東京に住んでいます", "東京に住んで"),
    ("我在北京大学学习计算机", "大学"),
    ("ฉันอยู่ที่กรุงเทพมหานคร", "กรุงเทพ"),
    ("ຂ້ອຍຢູ່ວຽງຈັນ", "ວຽງຈັນ"),
    ("ខ្ញុំរស់នៅភ្នំពេញ", "ភ្នំពេញ"),
    ("ကျွန်တော်ရန်ကုန်မှာနေတယ်", "ရန်ကုန်"),
    ("서울에서 만나요", "서울"),
    ("मैं हिन्दी में लिखता हूँ", "हिन्दी"),
    ("Käse aus der Straße", "kase"),
    ("Käse aus der Straße", "STRASSE"),
    ("ＦＵＬＬ width", "full"),
    ("Привет из Москвы", "москвы"),
    ("she went to the lake", "go lake"),
]


@pytest.mark.parametrize(("text", "query"), FOUND)
def test_is_found_by(db: apsw.Connection, text: str, query: str) -> None:
    """A word is found as it was written, in its other spellings, and inside scripts without spaces."""
    db.execute(insert_sql("fts_1"), (1, *indexed(message(text), NOON).columns))
    assert asked(db, query) == [1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I met my sister", "sister met"),
        ("call getUserName first", "username first"),
        ("私は東京に住んでいます", "東京に"),
        ("私は東京に住んでいます", "す"),
        ("see app.py", "app.py"),
        ("the and of", "the of"),
    ],
)
def test_filter_wants_all_words(db: apsw.Connection, text: str, words: str) -> None:
    """The plain filter takes every word at its word, also those that a query leaves out."""
    db.execute(insert_sql("fts_1"), (1, *indexed(message(text), NOON).columns))
    assert filtered(db, words) == [1]
    assert filtered(db, f"{words} elsewhere") == []


def test_filter_looks_at_what_was_said_only(db: apsw.Connection) -> None:
    """Every event of May is not one that says May."""
    db.execute(insert_sql("fts_1"), (1, *indexed(message("hello"), NOON).columns))
    assert filtered(db, "may") == []
    assert filtered(db, "?!") == []


def test_pairs_are_no_words_of_their_own(db: apsw.Connection) -> None:
    """The filter finds a run of a dense script as it stands, not its letters in another order."""
    db.execute(insert_sql("fts_1"), (1, *indexed(message("東京都と京東"), NOON).columns))
    assert filtered(db, "東京都") == [1]
    assert filtered(db, "京東京") == []


def test_head_says_who_and_when() -> None:
    """Who spoke and the day are words of an event too, beside its text."""
    stored = indexed(message("hello there", **{"from": "Caroline"}), NOON)
    assert stored == Indexed(("hello there", "Caroline Tuesday 16 May 2023"), 2)


@pytest.mark.parametrize("day", [-(10**12), -1, 0, 10**12])
def test_any_day_has_words(day: int) -> None:
    """Times come from clients, so any number may be one."""
    assert isinstance(date_words(day), str)


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("What did Caroline's sister buy?", ["caroline", "sister", "buy"]),
        ("who are you", ["who", "are", "you"]),
        ("Wann war die Reise nach Berlin?", ["reise", "berlin"]),
        ("the war and the man who will die", ["war", "man", "die"]),
        ("berlin Berlin BERLIN", ["berlin"]),
        ("", []),
        ("?! -- ***", []),
    ],
)
def test_words_that_say_nothing_are_left_out(query: str, terms: list[str]) -> None:
    """Unless there are no others. What is nothing in German is a word in English."""
    found = parse_query(query).terms
    assert len(found) == len(terms)
    assert all(word in ways for word, ways in zip(terms, found, strict=True))


HOSTILE = [
    '"', "'", '""', 'a" OR "b', "a AND b OR NOT c", "NEAR(a b, 2)", "NEAR", "body : x", "- head : x", "^a",
    "a*",    "*",
    "(", ")))", "a + b", "\0", "a\0b", "\ud800", "\udfff x", "{body head} : x", "; DROP TABLE fts_1", "--",
    "/*",
    "\u202e", "e" + "\u0301" * 5000, "a" * 100_000, "x " * 50_000, "東" * 50_000, "\ufdfa" * 5000,
    "_" * 9999, "a_" * 9999,
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE)
def test_queries_are_data(db: apsw.Connection, query: str) -> None:
    """No string is a syntax error, and none asks for more than so many words."""
    asked(db, query)
    filtered(db, query)
    assert len(parse_query(query).terms) <= MAX_TERMS


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=60))
def test_any_text_can_be_stored_and_asked_for(text: str) -> None:
    """Whatever characters there are: nothing raises, and a text is found by itself if it has words."""
    with apsw.Connection(":memory:") as db:
        db.execute(lexicon_sql("fts_1"))
        event = message("x")
        event.text = text
        stored = indexed(event, NOON)
        db.execute(insert_sql("fts_1"), (1, *stored.columns))
        assert stored.words >= 0
        asked(db, text)
        filtered(db, text)
    db.close()


@pytest.mark.parametrize(
    "text",
    [
        "", " " * MAX_TEXT, "a" * MAX_TEXT, "aB" * (MAX_TEXT // 2), "a-" * (MAX_TEXT // 2), "東" * MAX_TEXT,
        "e" + "\u0301\u0323" * (MAX_TEXT // 2), "\ufdfa" * MAX_TEXT, "\ud800" * MAX_TEXT,
        "a" * (MAX_TEXT - 2) + "_b",
    ],
    ids=range(10),
)  # fmt: skip
def test_huge_texts_stay_bounded(db: apsw.Connection, text: str) -> None:
    """What is stored of a text is at most a few times the text. (Quadratic work would hang here.)"""
    event = message("x")
    event.text = text
    stored = indexed(event, NOON)
    assert len(stored.columns[0]) <= 4 * MAX_TEXT
    db.execute(insert_sql("fts_1"), (1, *stored.columns))


def test_deleted_rows_are_not_found(db: apsw.Connection) -> None:
    """The table keeps no text, and forgets its words all the same."""
    db.execute(insert_sql("fts_1"), (1, *indexed(message("my sister"), NOON).columns))
    db.execute(delete_sql("fts_1"), (1,))
    assert asked(db, "sister") == []


def test_tools_are_found_by_their_name(db: apsw.Connection) -> None:
    """The name of a tool belongs to what is searched."""
    body = {"type": "tool.call", "payload": {"data": {"name": "web_search", "args": {"query": "weather"}}}}
    event = normalise(json.dumps(body).encode())
    assert event is not None
    db.execute(insert_sql("fts_1"), (1, *indexed(event, NOON).columns))
    assert asked(db, "web search") == asked(db, "weather") == [1]
