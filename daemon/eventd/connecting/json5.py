"""Reads JSON as people write it, and remembers where everything stands, so that it can be edited in place.

All of JSON, and of JSON5 what is found in configuration files: comments, commas before a closing bracket,
keys without quotes, single quotes, numbers like `+1`, `.5` and `0x10`. Nothing here changes a text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import EventdError

MAX_DEPTH: Final = 100  # levels of brackets; configuration has ten at the most

BOM: Final = "\ufeff"

_space = re.compile(r"[\s\ufeff]+")
_comment = re.compile(r"//[^\r\n\u2028\u2029]*|/\*.*?\*/", re.DOTALL)
_name = re.compile(r"[^\W\d][\w$]*|\$[\w$]*")
_number = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|Infinity|NaN)(?![\w.$])"
)
_word = re.compile(r"(?:true|false|null)(?![\w$])")
_WORDS: Final = {"true": True, "false": False, "null": None}
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}


class NotJson(EventdError):
    """A text is no JSON; the message says where."""


@dataclass(slots=True)
class Node:
    """A value, and where it stands.

    Attributes:
        start: Where it begins in the text.
        end: Behind its last character.
        value: Of a text, a number, true, false or null; None of an object or a list.
        children: Of an object or a list; None of any other value.
        key: Its name, as a member of an object.
        key_start: Where the name begins; of an element of a list the same as `start`.
    """

    start: int
    end: int = 0
    value: Any = None
    children: "list[Node] | None" = None
    is_object: bool = False
    key: str | None = None
    key_start: int = field(default=-1)

    @property
    def first(self) -> int:
        """Where it begins, with its name."""
        return self.start if self.key_start < 0 else self.key_start

    def child(self, name: str | int) -> "Node | None":
        """Return a member by its name (the last of that name counts), or an element by its number."""
        children = self.children or []
        if isinstance(name, int):
            return children[name] if not self.is_object and 0 <= name < len(children) else None
        return next((each for each in reversed(children) if each.key == name), None)

    def plain(self) -> Any:
        """Return it as Python has it."""
        if self.children is None:
            return self.value
        if self.is_object:
            return {child.key: child.plain() for child in self.children}
        return [child.plain() for child in self.children]


def parse(text: str) -> Node:
    """Return the one value of a text.

    Raises:
        NotJson: It holds none, or something else beside it.
    """
    reader = _Reader(text)
    reader.skip()
    node = reader.value(0)
    reader.at = node.end
    reader.skip()
    if reader.at < len(text):
        raise reader.failure("something stands behind the end of the document")
    return node


def pieces(text: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Yield what stands between values: `,` and comments (as `/`), each with its place; no white space."""
    at = start
    while at < end:
        if found := _space.match(text, at, end):
            at = found.end()
        elif found := _comment.match(text, at, end):
            yield "/", at, found.end()
            at = found.end()
        else:
            yield text[at], at, at + 1
            at += 1


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0

    def failure(self, what: str) -> NotJson:
        line = self._text.count("\n", 0, self.at) + 1
        column = self.at - self._text.rfind("\n", 0, self.at)
        return NotJson(f"line {line}, column {column}: {what}")

    def skip(self) -> None:
        """Go past white space and comments."""
        while found := _space.match(self._text, self.at) or _comment.match(self._text, self.at):
            self.at = found.end()
        if self._text.startswith("/*", self.at):
            raise self.failure("a comment without an end")

    def peek(self) -> str:
        return self._text[self.at : self.at + 1]

    def value(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.failure("too many levels")
        start, character = self.at, self.peek()
        if character in ("{", "["):
            return self._container(depth, is_object=character == "{")
        if character in ('"', "'"):
            return Node(start, value=self._string(), end=self.at)
        if found := _word.match(self._text, self.at):
            self.at = found.end()
            return Node(start, self.at, _WORDS[found[0]])
        if found := _number.match(self._text, self.at):
            self.at = found.end()
            return Node(start, self.at, _to_number(found[0]))
        raise self.failure("a value is missing" if character in ("", ",", "}", "]") else "this is no value")

    def _container(self, depth: int, *, is_object: bool) -> Node:
        node = Node(self.at, children=[], is_object=is_object)
        closer = "}" if is_object else "]"
        self.at += 1
        children: list[Node] = []
        while True:
            self.skip()
            if self.peek() == closer:
                break
            key_start, key = self.at, self._key() if is_object else None
            child = self.value(depth + 1)
            self.at = child.end
            child.key, child.key_start = key, key_start
            children.append(child)
            self.skip()
            if self.peek() == ",":
                self.at += 1
            elif self.peek() != closer:
                raise self.failure(f"a comma or {closer} is missing")
        self.at += 1
        node.end, node.children = self.at, children
        return node

    def _key(self) -> str:
        if self.peek() in ('"', "'") and self.peek():
            key = self._string()
        elif found := _name.match(self._text, self.at):
            key, self.at = found[0], found.end()
        else:
            raise self.failure("a name is missing")
        self.skip()
        if self.peek() != ":":
            raise self.failure("a colon is missing")
        self.at += 1
        self.skip()
        return key

    def _string(self) -> str:
        quote, parts = self.peek(), []
        self.at += 1
        while (character := self.peek()) != quote:
            if character in ("", "\n", "\r"):
                raise self.failure("a text without an end")
            self.at += 1
            parts.append(self._escape() if character == "\\" else character)
        self.at += 1
        # Halves of a character that were escaped one by one.
        return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _escape(self) -> str:
        character = self.peek()
        self.at += 1
        if character in ("u", "x"):
            digits = self._text[self.at : self.at + (4 if character == "u" else 2)]
            if not re.fullmatch(r"[0-9a-fA-F]{4}|[0-9a-fA-F]{2}", digits):
                raise self.failure(
                    "four digits are missing" if character == "u" else "two digits are missing"
                )
            self.at += len(digits)
            return chr(int(digits, 16))
        if character == "\r" and self.peek() == "\n":
            self.at += 1
        if character in ("\r", "\n"):
            return ""  # the text goes on in the next line
        return _ESCAPES.get(character, character)


def _to_number(text: str) -> int | float:
    digits = text.lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    if digits[:2] in ("0x", "0X"):
        return sign * int(digits, 16)
    return sign * (int(digits) if digits.isdigit() else float(digits))
