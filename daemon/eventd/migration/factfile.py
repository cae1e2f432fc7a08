"""Reads lists of facts in every shape that is found: JSON, lines of JSON, YAML; whole, or torn."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import yaml

MAX_YAML = 4 * 2**20  # characters; PyYAML takes a minute for more
LISTS = ("facts", "items", "entries", "memories")
"""Keys under which an object holds its facts."""
TEXTS = ("fact", "content", "text", "statement", "description", "note")
"""Keys of what a fact says; the first that is a text counts."""

Item = dict[str, Any]
_lenient = json.JSONDecoder()
_decode = msgspec.json.Decoder().decode
_begin = re.compile(r"^[ \t]*(?:[\[,][ \t]*)?(?=\{)", re.MULTILINE)
_line_end = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that could not be read.

    Attributes:
        line: Where, from 1; 0 for the file as a whole.
    """

    line: int
    reason: str


@dataclass(slots=True)
class FactList:
    """What a file says."""

    items: list[Item] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)


def parse(text: str, name: str) -> FactList:
    """Return the facts of a file.

    Args:
        name: Of the file; its ending says what it should be.
    """
    text = text.removeprefix("\ufeff")
    found = FactList()
    if not text.strip():
        return found
    if name.endswith(".jsonl"):
        _read_lines(text, found)
    elif name.endswith((".yaml", ".yml")):
        _read_yaml(text, found)
    else:
        try:
            _take(_decode(text.encode()), found, 1)
        except (ValueError, RecursionError) as error:
            _salvage(text, found, error)
    return found


def text_of(item: Item) -> str:
    """Return what a fact says; "" where it says nothing."""
    for key in TEXTS:
        value = item.get(key)
        if isinstance(value, str) and value.strip():
            return value
    return ""


def _take(value: Any, found: FactList, line: int) -> None:
    """Take the facts of a value in."""
    items = list(_items(value))
    for item in items:
        if text_of(item):
            found.items.append(item)
    if lacking := sum(not text_of(item) for item in items):
        found.damage.append(Damage(line, f"{lacking} without a text of {' or '.join(TEXTS[:3])}"))
    if not items and value not in ([], {}, None):
        found.damage.append(Damage(line, "no list of facts"))


def _items(value: Any) -> Iterator[Item]:
    match value:
        case str() if value.strip():
            yield {"fact": value}
        case list():
            for held in value:
                yield from _items(held) if not isinstance(held, list) else ()
        case dict():
            lists = [value[key] for key in LISTS if isinstance(value.get(key), list | dict)]
            if lists and not text_of(value):
                for held in lists:
                    yield from _items(held)
            elif not text_of(value) and value and all(isinstance(held, dict) for held in value.values()):
                for key, held in value.items():
                    yield {"id": key, **held}
            else:
                yield value


def _read_lines(text: str, found: FactList) -> None:
    for number, line in enumerate(_line_end.split(text), 1):
        if not line.strip():
            continue
        try:
            value = _decode(line.encode())
        except (ValueError, RecursionError) as error:
            found.damage.append(Damage(number, f"no JSON: {error}"))
        else:
            _take(value, found, number)


def _read_yaml(text: str, found: FactList) -> None:
    if len(text) > MAX_YAML:
        found.damage.append(Damage(0, f"larger than {MAX_YAML >> 20} MiB of YAML: only its text is kept"))
        return
    try:
        _take(yaml.load(text, Loader=_YamlLoader), found, 1)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        found.damage.append(Damage(line, f"no YAML: {error.problem or error.context or 'torn'}"))
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        found.damage.append(Damage(0, f"no YAML: {' '.join(str(error).split())}"))


def _salvage(text: str, found: FactList, error: Exception) -> None:
    """Take what can be read of JSON that is torn: objects that begin a line, each by itself."""
    at, failed = 0, False
    line, counted = 1, 0
    starts = [match.end() for match in _begin.finditer(text)]
    for start in starts:
        if start < at:
            continue  # inside of what was read
        line, counted = line + text.count("\n", counted, start), start
        try:
            value, at = _lenient.raw_decode(text, start)
            _decode(json.dumps(value, allow_nan=False).encode())  # half characters and NaN are refused
            if text_of(value) or any(key in value for key in LISTS):
                _take(value, found, line)
        except (ValueError, RecursionError) as problem:
            # An object around the facts is torn when any of them is; what is inside comes next.
            if any(f'"{key}"' in text[start : start + 200] for key in LISTS) and start == starts[0]:
                continue
            failed = True
            found.damage.append(Damage(line, f"no JSON: {_reason(problem)}"))
    if not failed:
        place = _lenient_error(text)
        found.damage.append(Damage(place or 1, f"no JSON: {_reason(error)}"))


def _lenient_error(text: str) -> int:
    """Return the line in which JSON breaks off."""
    try:
        _lenient.decode(text)
    except json.JSONDecodeError as error:
        return error.lineno
    except RecursionError:
        pass
    return 0


def _reason(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else " ".join(str(error).split())


class _YamlLoader(yaml.SafeLoader):
    """YAML whose dates stay texts, and which has no aliases: a few lines of these are gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not read", event.start_mark)
        return super().compose_node(parent, index)


_YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, shape) for tag, shape in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
