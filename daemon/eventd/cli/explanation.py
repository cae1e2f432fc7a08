"""Why a context block is as it is, as lines for a person."""

from collections.abc import Iterator, Mapping
from typing import Any

from .columns import columns
from .figures import count
from .output import neutral, shorten
from .views import local_time

ID = 36  # characters of an id: a UUID's
SHOWN = 60  # characters that are repeated of an item

Tree = Mapping[str, Any]

_HEADS = ("section", "kind", "when", "session", "size", "why", "id", "text")


def lines(document: Tree) -> Iterator[str]:
    """Yield the lines: the block as a whole, its items, and what was left out."""
    yield f"{_number(document, 'size'):,} of {count(_number(document, 'budget'), 'character')}"
    if document.get("asOf") is not None:
        span = f", {_time(document, 'from')} to {_time(document, 'to')}" if document.get("to") else ""
        yield f"{count(_number(document, 'events'), 'recent event')}{span}"
    topics = [neutral(str(topic.get("text", ""))) for topic in _trees(document.get("topics"))]
    if topics:
        yield f"topics: {', '.join(topics)}"
    rows = [
        _row(section, item)
        for section in _trees(document.get("sections"))
        for item in _trees(section.get("items"))
    ]
    if rows:
        yield ""
        yield from columns([_HEADS, *rows])
    left_out = document.get("left_out")
    if isinstance(left_out, Mapping) and left_out:
        yield ""
        yield "left out: " + ", ".join(f"{neutral(str(why))} {many}" for why, many in left_out.items())


def _row(section: Tree, item: Tree) -> tuple[str, ...]:
    return (
        _word(section, "name"),
        _word(item, "kind"),
        _time(item, "time"),
        _word(item, "session"),
        f"{_number(item, 'chars'):,}{' cut' if item.get('cut') else ''}",
        _word(item, "why"),
        shorten(_word(item, "id"), ID),
        shorten(_word(item, "text"), SHOWN),
    )


def _word(tree: Tree, key: str) -> str:
    value = tree.get(key)
    return "" if value is None else neutral(str(value))


def _number(tree: Tree, key: str) -> int:
    value = tree.get(key)
    return value if isinstance(value, int) else 0


def _time(tree: Tree, key: str) -> str:
    return local_time(_number(tree, key))[:16]


def _trees(value: object) -> list[Tree]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
