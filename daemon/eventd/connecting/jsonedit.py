"""Edits JSON in place: what is not touched keeps every byte, its comments, its order and its line ends.

Each function takes a text and returns another one; `path` names a value by names and numbers. What is added
looks like what is there already: same indentation, same line ends, a last comma where there is one.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from ..errors import EventdError
from .json5 import Node, parse, pieces

Path = Sequence[str | int]

INDENT: Final = "  "  # of a text that has none

_indented = re.compile(r"\n([ \t]+)\S")


class WrongShape(EventdError):
    """A value is of another kind than its place in the document asks for."""


def read(text: str) -> Any:
    """Return what the text says.

    Raises:
        NotJson: It is none.
    """
    return parse(text).plain()


def put(text: str, path: Path, value: Any) -> str:
    """Set a member of an object; objects on the way to it that are missing are made.

    Raises:
        NotJson: The text is none.
        WrongShape: Something on the way is there, but no object.
    """
    node, rest = _reach(parse(text), path)
    if not rest:
        body = _render(text, value, _indent_at(text, node.start), spread="\n" in text.strip())
        return text[: node.start] + body + text[node.end :]
    for name in reversed(rest[1:]):
        value = {name: value}
    return _add(text, _container(node, path[: len(path) - len(rest)], is_object=True), rest[0], value)


def append(text: str, path: Path, value: Any) -> str:
    """Add an element to a list, which is made where it is missing.

    Raises:
        NotJson: The text is none.
        WrongShape: There is something else than a list, or on the way to it something else than an object.
    """
    node, rest = _reach(parse(text), path)
    if rest:
        return put(text, path, [value])
    return _add(text, _container(node, path, is_object=False), None, value)


def remove(text: str, path: Path) -> str:
    """Take a member or an element away, with its comma; comments stay. What is not there is no mistake.

    Raises:
        NotJson: The text is none.
    """
    node, rest = _reach(parse(text), path[:-1])
    child = None if rest else node.child(path[-1])
    if child is None:
        return text
    text = _without(text, _cuts(text, node, child))
    node, _ = _reach(parse(text), path[:-1])
    is_blank = not text[node.start + 1 : node.end - 1].strip()
    return text[: node.start + 1] + text[node.end - 1 :] if is_blank else text


def _cuts(text: str, node: Node, child: Node) -> list[tuple[int, int]]:
    """Return what goes with a child: the white space before it, itself, and one comma."""
    children = node.children or []
    number = next(number for number, each in enumerate(children) if each is child)
    begin = children[number - 1].end if number else node.start + 1
    end = children[number + 1].first if number + 1 < len(children) else node.end - 1
    before = list(pieces(text, begin, child.first))
    after = list(pieces(text, child.end, end))
    kept = before[-1][2] if before else begin  # behind the last thing that stays
    commas = [place for kind, *place in (*after, *before) if kind == ","]
    ends_line = text[child.end :].lstrip(" \t,")[:1] in ("\r", "\n")
    if before and text.startswith("//", before[-1][1]) and not ends_line:
        kept = child.first  # the line end before it ends a comment
    return [(kept, child.end), *((first, last) for first, last in commas[:1])]


def _without(text: str, cuts: Sequence[tuple[int, int]]) -> str:
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + text[end:]
    return text


def _reach(node: Node, path: Path) -> tuple[Node, Path]:
    """Follow a path as far as it goes; return where it ends, and the rest of it."""
    for number, name in enumerate(path):
        child = node.child(name)
        if child is None:
            return node, path[number:]
        node = child
    return node, ()


def _container(node: Node, path: Path, *, is_object: bool) -> Node:
    if node.children is None or node.is_object is not is_object:
        where = ".".join(map(str, path)) or "the document"
        raise WrongShape(f"{where} is not {'an object' if is_object else 'a list'}")
    return node


def _add(text: str, node: Node, name: str | int | None, value: Any) -> str:
    """Add a child at the end of an object or a list."""
    children = node.children or []
    close = node.end - 1
    begin = children[-1].end if children else node.start + 1
    kept, has_comma = begin, False
    for kind, _, end in pieces(text, begin, close):
        kept, has_comma = end, has_comma or kind == ","
    spread = _is_spread(text, node)
    base = _indent_at(text, node.start)
    indent = _child_indent(text, node, base)
    label = "" if name is None else f"{json.dumps(name, ensure_ascii=False)}: "
    body = label + _render(text, value, indent, spread=spread)
    newline = _newline(text)
    if spread:
        body = newline + indent + body
    elif children:
        body = " " + body
    if not children:
        # With a comment in it, or a line end, what stands before the bracket is in its place already.
        closing = newline + base if spread and "\n" not in text[kept:close] else ""
        return text[:kept] + body + closing + text[kept if "\n" in text[kept:close] else close :]
    if has_comma:
        return text[:kept] + body + "," + text[kept:]
    return text[:begin] + "," + text[begin:kept] + body + text[kept:]


def _is_spread(text: str, node: Node) -> bool:
    """Whether the children of an object or a list stand on lines of their own."""
    if node.children:
        return (
            "\n" in text[node.start : node.children[-1].first]
            or "\n" in text[node.children[-1].end : node.end]
        )
    return "\n" in text[node.start : node.end] or "\n" in text.strip() or text.strip("\ufeff \r\n\t") == "{}"


def _render(text: str, value: Any, indent: str, *, spread: bool) -> str:
    """Return a value as JSON, with the indentation of its neighbours."""
    if not spread:
        return json.dumps(value, ensure_ascii=False)
    lines = json.dumps(value, ensure_ascii=False, indent=_unit(text)).split("\n")
    return (_newline(text) + indent).join(lines)


def _child_indent(text: str, node: Node, base: str) -> str:
    first = node.children[0] if node.children else None
    if first is not None and not text[text.rfind("\n", 0, first.first) + 1 : first.first].strip():
        return _indent_at(text, first.first)
    return base + _unit(text)


def _indent_at(text: str, place: int) -> str:
    """Return the white space at the beginning of the line in which a place is."""
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    found = _indented.search(text)
    return found[1] if found else INDENT


def _newline(text: str) -> str:
    at = text.find("\n")
    return "\r\n" if at > 0 and text[at - 1] == "\r" else "\n"
