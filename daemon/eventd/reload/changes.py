"""What differs between two configurations, in the words of the config file; never a secret."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..config.problems import ROOT, dotted
from ..config.render import effective
from ..config.settings import Config
from ..routes import Route
from ..secret import Secret

NEEDS_RESTART = ("dataDir", "socket.path", "socket.mode", "socket.group", "embedded.storeDir")
"""What the daemon holds on to while it runs: its files, and the socket that clients know."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is set otherwise.

    Attributes:
        key: Below `gateway.eventStore`.
        before, after: As a person writes it; None where it is not set, or must not be shown.
    """

    key: str
    before: str | None = None
    after: str | None = None
    what: str = ""
    """`added`, `removed` or `changed`, where the values are not shown."""

    def __str__(self) -> str:
        if self.what:
            return f"{self.key}: {self.what}"
        return f"{self.key}: {_shown(self.before)} → {_shown(self.after)}"


def changes_between(old: Config, new: Config) -> list[Change]:
    """Return what is set otherwise, in the order of the keys. An agent with a new entry is one change."""
    before, after = _flat(old), _flat(new)
    gone = old.routes.by_agent.keys() - new.routes.by_agent.keys()
    come = new.routes.by_agent.keys() - old.routes.by_agent.keys()
    whole = {name: _agent_key(name) for name in gone | come}
    changes = [Change(whole[name], what="removed") for name in sorted(gone)]
    changes += [Change(whole[name], what="added") for name in sorted(come)]
    below = tuple(f"{key}." for key in whole.values())
    for key in dict.fromkeys((*before, *after)):
        if not key.startswith(below) and before.get(key) != after.get(key):
            changes.append(Change(key, before.get(key), after.get(key)))
    secrets_after = dict(_secrets(new))
    for key, secret in _secrets(old):
        if before.get(key) == after.get(key) and key in secrets_after and secret != secrets_after[key]:
            changes.append(Change(key, what="changed"))
    return changes


def as_far_as_possible(running: Config, wanted: Config) -> Config:
    """Return the wanted configuration with what cannot change while the daemon runs."""
    return replace(
        wanted,
        data_dir=running.data_dir,
        socket=replace(
            wanted.socket,
            path=running.socket.path,
            mode=running.socket.mode,
            group=running.socket.group,
        ),
        embedded=replace(wanted.embedded, store_dir=running.embedded.store_dir),
    )


def _flat(config: Config) -> dict[str, str]:
    tree = effective(config)
    for key in ROOT:
        tree = tree[key]
    return dict(_leaves(tree, ()))


def _leaves(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(tree, list):
        yield dotted(path), ", ".join(map(str, tree))
    elif isinstance(tree, bool):
        yield dotted(path), str(tree).lower()
    else:
        yield dotted(path), str(tree)


def _secrets(config: Config) -> Iterator[tuple[str, Secret | None]]:
    yield from _secrets_of("", config.routes.default)
    for name, route in config.routes.by_agent.items():
        key = f"{_agent_key(name)}."
        yield from _secrets_of(key, route)
        if (rule := config.access.agents.get(name)) is not None:
            yield f"{key}token", rule.token


def _secrets_of(prefix: str, route: Route) -> Iterator[tuple[str, Secret | None]]:
    login = route.server.credentials
    yield f"{prefix}password", login.password
    yield f"{prefix}natsToken", login.token
    yield f"{prefix}nkeySeed", login.nkey_seed


def _agent_key(name: str) -> str:
    return dotted(("agents", name))


def _shown(value: str | None) -> str:
    return "not set" if value in (None, "") else str(value)
