"""Loads the SQL of this folder: one file of named, commented queries instead of strings in the code."""

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


def read(name: str) -> str:
    """Return the text of a file of this package, such as `schema.sql`."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def parse(text: str) -> dict[str, str]:
    """Split a file of queries, each under a `-- name: …` line, into query by name, without comments."""
    parts = _NAME.split(text)[1:]
    return {
        name: "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip().rstrip(";")
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


def migrations() -> dict[int, str]:
    """Return the upgrade scripts by the schema version that they lead to."""
    folder = resources.files(__package__) / "migrations"
    scripts = (entry for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {int(entry.name.split("_")[0]): entry.read_text(encoding="utf-8") for entry in scripts}


QUERIES = parse(read("queries.sql"))
"""Every query of `queries.sql` by name."""


Values = Sequence[Any] | Mapping[str, Any]
"""What is bound to the parameters of a statement."""


class Statements:
    """A connection whose statements are those of `queries.sql`, by name.

    Attributes:
        db: The connection.
    """

    def __init__(self, db: apsw.Connection) -> None:
        self.db = db

    def run(self, name: str, values: Values = ()) -> apsw.Cursor:
        """Run a statement."""
        return self.db.execute(QUERIES[name], values)

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
        start, left = 0, len(values) // width
        for chunk in _CHUNKS:
            step = chunk * width
            while left >= chunk:
                self.db.execute(_many(name, chunk), values[start : start + step])
                start += step
                left -= chunk


@cache
def _many(name: str, count: int) -> str:
    """Return an INSERT of `queries.sql` for `count` rows at once.

    One statement for many rows, because each step of a statement gives the GIL away and must win it
    back: under a busy event loop `executemany` ran at a quarter of this one's speed.
    """
    query = QUERIES[name]
    match = _TUPLE.search(query)
    if match is None:
        raise ValueError(f"query {name} does not end with its values")
    many = query + f",{match[0].replace(' ', '')}" * (count - 1)
    if len(many) > _CACHED_TEXT:
        raise ValueError(f"query {name} is too long for {count} rows at once")
    return many
