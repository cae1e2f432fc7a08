"""SQL in files of named, commented queries instead of strings in the code, and how they are run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import apsw

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_CHUNKS = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)  # rows per statement
_CACHED_TEXT = 16_384  # bytes; apsw parses a longer statement anew each time it runs, which halves the speed
_TUPLE = re.compile(r"\((?:\?, )*\?\)\Z")

Values = Sequence[Any] | Mapping[str, Any]
"""What is bound to the parameters of a statement."""


def read(package: str, name: str) -> str:
    """Return the text of a file of a package, such as `schema.sql`."""
    return (resources.files(package) / name).read_text(encoding="utf-8")


def parse(text: str) -> dict[str, str]:
    """Split a file of queries, each under a `-- name: …` line, into query by name, without comments."""
    parts = _NAME.split(text)[1:]
    return {
        name: "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip().rstrip(";")
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


class Statements:
    """A connection whose statements are those of a file, by name.

    Attributes:
        db: The connection.
    """

    def __init__(self, db: apsw.Connection, queries: Mapping[str, str]) -> None:
        self.db = db
        self._queries = queries

    def run(self, name: str, values: Values = ()) -> apsw.Cursor:
        """Run a statement."""
        return self.db.execute(self._queries[name], values)

    def rows(self, name: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Run a query; return all rows."""
        return self.run(name, values).fetchall()

    def first(self, name: str, values: Values = ()) -> tuple[Any, ...] | None:
        """Run a query; return its first row, None if there is none."""
        return self.run(name, values).fetchone()

    def value(self, name: str, values: Values = ()) -> Any:
        """Run a query of one value; return it, None if there is no row."""
        return self.run(name, values).get

    def each(self, name: str, values: Values = ()) -> Iterator[tuple[Any, ...]]:
        """Run a query; yield its rows one by one."""
        return iter(self.run(name, values))

    def insert_many(self, name: str, width: int, values: list[Any]) -> None:
        """Run an INSERT over flat values, many rows a statement."""
        insert_many(self.db, self._queries[name], width, values)


def insert_many(db: apsw.Connection, query: str, width: int, values: list[Any]) -> None:
    """Run an INSERT that ends in `(?, …, ?)` over flat values, many rows a statement."""
    start, left = 0, len(values) // width
    for chunk, statement in _statements(query):
        step = chunk * width
        while left >= chunk:
            db.execute(statement, values[start : start + step])
            start += step
            left -= chunk


@cache
def _statements(query: str) -> list[tuple[int, str]]:
    """Return an INSERT for several numbers of rows at once, the greatest first.

    One statement for many rows, because each step of a statement gives the GIL away and must win it
    back: under a busy event loop `executemany` ran at a quarter of this one's speed.
    """
    match = _TUPLE.search(query)
    if match is None:
        raise ValueError(f"the query does not end with its values: {query}")
    one_more = f",{match[0].replace(' ', '')}"
    statements = [(chunk, query + one_more * (chunk - 1)) for chunk in _CHUNKS]
    return [(chunk, text) for chunk, text in statements if chunk == 1 or len(text) <= _CACHED_TEXT]
