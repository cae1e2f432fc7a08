"""From YAML nodes to the sections of `schema`: each value checked, each problem with its place.

The schema is the only list of keys: this module walks it and knows no setting by name.
"""

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import msgspec.inspect as kinds
import yaml
from yaml.resolver import Resolver

from eventd_ipc.strict import agent_fault

from ..secret import MASK, Secret
from ..units import format_duration, format_size, parse_duration, parse_size
from .document import TAG, describe, entries, is_null
from .expand import expand
from .problems import ROOT, KeyPath, Report, dotted
from .schema import EventStore
from .unix import parse_group, parse_mode, parse_user

ALIKE = 0.6  # difflib's ratio from which a name is offered in place of an unknown one

UNUSABLE = "holds a character that no file name and no UTF-8 can have"

_UNUSABLE = re.compile(
    "[\0\ud800-\udfff]"
)  # YAML's escapes can write them, and variables of the environment hold them
_TOP_KEYS = {field.encode_name for field in msgspec.structs.fields(EventStore)}

PARSERS: Final[Mapping[str, Callable[[str], float]]] = {
    "duration": parse_duration,
    "size": parse_size,
    "user": parse_user,
    "group": parse_group,
    "mode": parse_mode,
}
"""How the text of a value with a unit becomes a number."""

_BAD: Final = object()
"""Stands for a value that has been reported."""


def read(node: yaml.Node | None, path: KeyPath, report: Report, environ: Mapping[str, str]) -> EventStore:
    """Read our node; what is wrong goes into the report and counts as not set."""
    if node is None:
        return EventStore()
    section = _Reader(report, environ).section(node, kinds.type_info(EventStore), path)
    return section if isinstance(section, EventStore) else EventStore()


class _Reader:
    def __init__(self, report: Report, environ: Mapping[str, str]) -> None:
        self._report = report
        self._environ = environ

    def _value(self, node: yaml.Node, kind: kinds.Type, path: KeyPath) -> Any:
        unit = None
        if isinstance(kind, kinds.UnionType):  # with None: every key may be absent
            kind = next(member for member in kind.types if not isinstance(member, kinds.NoneType))
        if isinstance(kind, kinds.Metadata):
            unit, kind = (kind.extra or {}).get("unit"), kind.type
        if isinstance(kind, kinds.StructType):
            return self.section(node, kind, path)
        if isinstance(kind, kinds.DictType):
            return self._agents(node, kind, path)
        if isinstance(kind, kinds.ListType):
            return self._list(node, kind, path)
        try:
            return self._scalar(node, kind, unit)
        except ValueError as error:
            self._report.problem(path, str(error))
            return _BAD

    def section(self, node: yaml.Node, kind: kinds.Type, path: KeyPath) -> Any:
        """Read a mapping as a Struct. One without keys (all commented out, perhaps) is an empty one."""
        assert isinstance(kind, kinds.StructType)  # noqa: S101 - for the type checker
        known = {field.encode_name: field for field in kind.fields}
        values: dict[str, Any] = {}
        for key, value in self._mapping(node, path):
            if key not in known:
                self._report.problem((*path, key), f"unknown key; {_suggestion(key, known)}")
                continue
            result = self._value(value, known[key].type, (*path, key))
            if result is not _BAD:
                values[known[key].name] = result
        return kind.cls(**values)

    def _agents(self, node: yaml.Node, kind: kinds.DictType, path: KeyPath) -> dict[str, Any]:
        agents: dict[str, Any] = {}
        for name, value in self._mapping(node, path):
            fault = UNUSABLE if _UNUSABLE.search(name) else agent_fault(name)
            if fault is not None:
                self._report.problem((*path, name), fault)
            agents[name] = self._value(value, kind.value_type, (*path, name))
        return agents

    def _list(self, node: yaml.Node, kind: kinds.ListType, path: KeyPath) -> list[Any]:
        """Read a list; a single value stands for a list of one."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        values = [self._value(item, kind.item_type, path) for item in nodes]
        return [value for value in values if value is not _BAD]

    def _mapping(self, node: yaml.Node, path: KeyPath) -> list[tuple[str, yaml.Node]]:
        if isinstance(node, yaml.MappingNode):
            return list(entries(node, path, self._report))
        if not is_null(node):
            self._report.problem(path, f"has to be a mapping, but is {describe(node)}")
        return []

    def _scalar(self, node: yaml.Node, kind: kinds.Type, unit: str | None) -> Any:
        """Read one value.

        Raises:
            ValueError: With the reason. It quotes nothing: the value may be a secret in the wrong place.
        """
        wanted = _name_of(kind, unit)
        if not isinstance(node, yaml.ScalarNode):
            raise ValueError(f"has to be {wanted}, but is {describe(node)}")
        if is_null(node):
            raise ValueError(f"has no value; write {wanted}, or take the line out")
        text, tag = expand(node.value, self._environ), node.tag
        if text != node.value:
            # What a variable holds is read as if it stood in the file; text stays text, even `12345`.
            tag = _tag_of(text)
            is_text = True
        else:
            is_text = tag == TAG + "str"
        found = describe(node)
        refusal = ValueError(f"has to be {wanted}" + (f", but is {found}" if found != wanted else ""))
        match kind:
            case kinds.FloatType() | kinds.IntType() if unit is not None:
                return _within(PARSERS[unit](text), kind, unit)
            case kinds.FloatType():
                return _within(_decimal(text), kind, unit)
            case kinds.IntType():
                if tag != TAG + "int":
                    raise refusal
                return _within(_whole(text), kind, unit)
            case kinds.BoolType():
                if tag != TAG + "bool" or text.lower() not in yaml.SafeLoader.bool_values:
                    raise refusal
                return yaml.SafeLoader.bool_values[text.lower()]
            case kinds.LiteralType():
                if text not in kind.values:
                    raise ValueError(f"has to be {wanted}")
                return text
        if not is_text:
            raise ValueError(f"has to be text, but is {describe(node)} in YAML; put it in quotes")
        if not text:
            raise ValueError("is empty")
        if _UNUSABLE.search(text):
            raise ValueError(UNUSABLE)
        if unit == "agent" and (fault := agent_fault(text)) is not None:
            raise ValueError(fault)
        if isinstance(kind, kinds.CustomType):
            if kind.cls is Secret and text == MASK:
                raise ValueError("is what `eventd config show` prints in place of a secret; write the secret")
            return Secret(text) if kind.cls is Secret else Path(text)
        return text


def _name_of(kind: kinds.Type, unit: str | None) -> str:
    match kind:
        case kinds.FloatType() | kinds.IntType() if unit is not None:
            return f"a {unit}"
        case kinds.FloatType():
            return "a number"
        case kinds.IntType():
            return "a whole number"
        case kinds.BoolType():
            return "true or false"
        case kinds.LiteralType():
            return "one of " + ", ".join(str(value) for value in kind.values)
        case _:
            return "text"


def _tag_of(text: str) -> str:
    """Return the tag that YAML gives to a plain text, e.g. that of a whole number for `4222`."""
    resolve: Callable[..., str] = Resolver().resolve
    return resolve(yaml.ScalarNode, text, (True, False))


def _decimal(text: str) -> float:
    try:
        value = float(text.replace("_", ""))
    except ValueError:
        raise ValueError("has to be a number") from None
    if not math.isfinite(value):
        raise ValueError("has to be a number")
    return value


def _whole(text: str) -> int:
    try:
        return int(text.replace("_", ""))
    except ValueError:
        raise ValueError("has to be a whole decimal number") from None


def _within(value: float, kind: kinds.FloatType | kinds.IntType, unit: str | None) -> float:
    def show(bound: float) -> str:
        if unit == "duration":
            return format_duration(bound)
        return format_size(int(bound)) if unit == "size" else str(bound)

    if kind.ge is not None and value < kind.ge:
        raise ValueError(f"has to be at least {show(kind.ge)}")
    if kind.le is not None and value > kind.le:
        raise ValueError(f"has to be at most {show(kind.le)}")
    return value


def _suggestion(key: str, known: Collection[str]) -> str:
    """Offer the nearest name; `stream_name` and `STREAMNAME` are as near to `streamName` as can be."""
    plain = {_plain(name): name for name in known}
    near = difflib.get_close_matches(_plain(key), plain, n=1, cutoff=ALIKE)
    if near:
        return f"did you mean {plain[near[0]]}?"
    if key in _TOP_KEYS:
        return f"it belongs directly under {dotted(ROOT)}"
    return f"the keys here are {', '.join(known)}"


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
