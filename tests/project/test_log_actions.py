"""Every line that the daemon logs carries a stable `action`, by which programs know it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

DAEMON = Path(__file__).parents[2] / "daemon" / "eventd"
LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
ACTION = re.compile(r"[a-z]+(_[a-z0-9]+)*")
LOGGERS = {"logger", "_logger", "log"}

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Module


def calls(tree: ast.Module) -> Iterator[tuple[Scope, ast.Call]]:
    """Return each call that logs, with the function that it stands in."""

    def walk(node: ast.AST, scope: Scope) -> Iterator[tuple[Scope, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            inner = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else scope
            if isinstance(child, ast.Call) and logs(child):
                yield inner, child
            yield from walk(child, inner)

    return walk(tree, tree)


def logs(call: ast.Call) -> bool:
    """Whether a call is one of a logger's."""
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in LEVELS:
        return False
    owner = function.value
    if isinstance(owner, ast.Call):  # logging.getLogger(…).info(…)
        owner = owner.func
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return name in LOGGERS or name in {"logging", "getLogger"}


def action(scope: Scope, call: ast.Call) -> str | None:
    """Return the action of a call; its fields may stand in a variable of the function."""
    extra = next((keyword.value for keyword in call.keywords if keyword.arg == "extra"), None)
    if isinstance(extra, ast.Name):
        name = extra.id
        extra = next(
            (
                node.value
                for node in ast.walk(scope)
                if isinstance(node, ast.Assign)
                and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
            ),
            None,
        )
    if not isinstance(extra, ast.Dict):
        return None
    for key, value in zip(extra.keys, extra.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == "action" and isinstance(value, ast.Constant):
            return str(value.value)
    return None


def faults(source: str) -> list[int]:
    """Return the lines of calls that log without a proper action."""
    tree = ast.parse(source)
    return [call.lineno for scope, call in calls(tree) if not ACTION.fullmatch(action(scope, call) or "")]


@pytest.mark.parametrize("path", sorted(DAEMON.rglob("*.py")), ids=lambda path: str(path.relative_to(DAEMON)))
def test_each_line_has_an_action(path: Path) -> None:
    """A literal one: a key that is put together at run time is not stable."""
    assert not faults(path.read_text())


@pytest.mark.parametrize(
    "line",
    [
        'logger.info("x")',
        'logger.info("x", extra={"seq": 5})',
        'logger.info("x", extra={"action": key})',
        'logger.info("x", extra={"action": "Not Stable"})',
        'logger.log(10, "x", extra=fields)',
        'logging.getLogger("x").warning("x")',
        'self._logger.exception("x")',
        'logging.error("x")',
    ],
)
def test_a_line_without_one_is_found(line: str) -> None:
    """The look is sharp: each of these is a fault."""
    assert faults(f"def f(self, fields, key):\n    {line}\n") == [2]


def test_a_line_with_one_is_none() -> None:
    """In place, or in a variable."""
    assert not faults('def f():\n    facts = {"action": "done_it"}\n    logger.info("x", extra=facts)\n')
    assert not faults('logger.info("x", extra={**facts, "action": "done_it"})')


def test_there_are_many() -> None:
    """Should the way to log ever change, this test must not go blind."""
    assert sum(len(list(calls(ast.parse(path.read_text())))) for path in DAEMON.rglob("*.py")) > 60
