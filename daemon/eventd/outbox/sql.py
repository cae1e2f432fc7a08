"""The SQL of this folder: `schema.sql`, the named queries of `queries.sql`, and the upgrades."""

from importlib import resources

import apsw

from .. import sql
from ..sql import insert_many, parse

__all__ = ["QUERIES", "Statements", "insert_many", "migrations", "parse", "read"]


def read(name: str) -> str:
    """Return the text of a file of this package, such as `schema.sql`."""
    return sql.read(__package__, name)


def migrations() -> dict[int, str]:
    """Return the upgrade scripts by the schema version that they lead to."""
    folder = resources.files(__package__) / "migrations"
    scripts = (entry for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {int(entry.name.split("_")[0]): entry.read_text(encoding="utf-8") for entry in scripts}


QUERIES = parse(read("queries.sql"))
"""Every query of `queries.sql` by name."""


class Statements(sql.Statements):
    """A connection whose statements are those of `queries.sql`, by name."""

    def __init__(self, db: apsw.Connection) -> None:
        super().__init__(db, QUERIES)
