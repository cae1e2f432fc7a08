"""A YAML file as nodes that know their line; nothing of it is turned into objects here.

Only our own node is looked into: other parts of the file may hold tags, duplicates and values that we
would not take.
"""

import re
from collections.abc import Container, Iterator

import yaml

from .problems import ROOT, KeyPath, Problem, Report, dotted

TAG = "tag:yaml.org,2002:"
MERGE = TAG + "merge"

KINDS = {
    "str": "text",
    "int": "a number",
    "float": "a decimal number",
    "bool": "true or false",
    "null": "nothing",
    "timestamp": "a date",
}

_QUOTED = re.compile(r"'[^'<]{2}[^']*'|\"[^\"<]{2}[^\"]*\"")

QUOTING_HINT = "a value with : # or one of * & ! | > % @ ` { [ at its beginning stands in quotes"


def parse(text: str, report: Report) -> yaml.Node | None:
    """Return the top node of a YAML text, or None where the text is empty or no YAML.

    The report gets the parser's complaint without its excerpt of the file, in which a secret could stand.
    """
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        what = _QUOTED.sub("'…'", error.problem or "it cannot be read")
        report.problems.append(Problem(line, "", f"this is no YAML: {what}; {QUOTING_HINT}"))
    except yaml.YAMLError:
        report.problems.append(Problem(0, "", "this is no YAML: it holds characters that YAML does not take"))
    except RecursionError:
        report.problems.append(Problem(0, "", "this is no usable YAML: it is nested too deeply"))
    return None


def find_ours(top: yaml.Node | None, report: Report) -> yaml.Node | None:
    """Return the value of `gateway.eventStore`, or None where the file has none."""
    node, path = top, KeyPath()
    for key in ROOT:
        if node is None or is_null(node):
            return None
        if not isinstance(node, yaml.MappingNode):
            report.problem(path, f"has to be a mapping with the key {key}, but is {describe(node)}")
            return None
        path = (*path, key)
        node = dict(entries(node, path[:-1], report, only=(key,))).get(key)
    return node


def entries(
    node: yaml.MappingNode, path: KeyPath, report: Report, *, only: Container[str] | None = None
) -> Iterator[tuple[str, yaml.Node]]:
    """Return the keys and values of a mapping; each key's line goes into the report.

    A key that stands there twice is a problem. What `<<` merges in comes after, and never in place of, the
    mapping's own keys. Keys are taken as they are written: an agent called `on` or `007` is just that.

    Args:
        only: Look at these keys alone.
    """
    seen: set[str] = set()
    pending, visited = [node], {id(node)}
    while pending:
        mapping = pending.pop(0)
        here: dict[str, int] = {}
        for key_node, value in mapping.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == MERGE:
                for base in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if isinstance(base, yaml.MappingNode) and id(base) not in visited:
                        visited.add(id(base))
                        pending.append(base)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                if only is None:
                    report.problems.append(
                        Problem(line, dotted(path), "a key has to be text; put it in quotes")
                    )
                continue
            key = key_node.value
            if only is not None and key not in only:
                continue
            if key in here:
                report.problems.append(
                    Problem(line, dotted((*path, key)), f"this key stands in line {here[key]} already")
                )
                continue
            here[key] = line
            if key not in seen:
                seen.add(key)
                report.lines[(*path, key)] = line
                yield key, value


def is_null(node: yaml.Node) -> bool:
    """Whether nothing was written, or `null` or `~`."""
    return bool(node.tag == TAG + "null")


def describe(node: yaml.Node) -> str:
    """Return what a value is, without quoting it."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return KINDS.get(node.tag.removeprefix(TAG), "a value of another kind")
