"""The configuration as it takes effect, for `eventd config show`: every value with its unit, no secret."""

from pathlib import Path
from typing import Any

import msgspec.inspect as kinds
import yaml

from ..routes import Placement, Route
from ..secret import MASK, Secret
from ..units import format_duration, format_size
from .problems import ROOT
from .schema import (
    ContextSection,
    EmbeddedSection,
    IndexSection,
    LogSection,
    OutboxSection,
    Section,
    SocketSection,
    StreamSection,
    TlsSection,
)
from .settings import AgentAccess, Config, ContextSettings, Rate

Tree = dict[str, Any]


def render(config: Config) -> str:
    """Return the configuration as the YAML of a config file.

    Where all secrets stand in files of their own, it can be loaded again and means the same.
    """
    return yaml.safe_dump(effective(config), sort_keys=False, allow_unicode=True)


def effective(config: Config) -> Tree:
    """Return the configuration as plain data, for JSON; in the form of the config file."""
    access = config.access
    node = _route(config.routes.default, config.context, config.rates.default) | {
        "agents": {
            name: _route(route, config.contexts.get(name, config.context), config.rates.of(name))
            | _rule(access.agents.get(name, AgentAccess()))
            for name, route in config.routes.by_agent.items()
        },
        "allowUnlisted": access.allow_unlisted,
        "admin": _given({"allowUids": sorted(access.admin_uids), "allowGids": sorted(access.admin_gids)}),
        "outbox": _section(config.outbox, OutboxSection),
        "index": _section(config.index, IndexSection),
        "embedded": _section(config.embedded, EmbeddedSection) | {"storeDir": str(config.embedded_store)},
        "socket": _section(config.socket, SocketSection),
        "dataDir": str(config.data_dir),
        "shutdownTimeout": format_duration(config.shutdown_timeout),
        "log": _section(config.log, LogSection),
        "metrics": {"listen": str(listen)} if (listen := config.metrics.listen) else {},
    }
    for key in reversed(ROOT):
        node = {key: node}
    return node


def _route(route: Route, context: ContextSettings, rate: Rate | None) -> Tree:
    server, login = route.server, route.server.credentials
    tree: Tree = {
        "enabled": route.enabled,
        "url": ",".join(server.urls),
        "streamName": route.stream,
        "subjectPrefix": route.prefix,
        "user": login.user,
        **_secret("password", login.password),
        **_secret("natsToken", login.token),
        "credsFile": _plain(login.creds_file, None),
        **_secret("nkeySeed", login.nkey_seed),
        "tls": _section(server.tls, TlsSection) if server.tls else None,
        "jsDomain": server.js_domain,
        "sharedAccount": route.shared_account,
        "manageStream": route.settings.manage,
        "stream": _section(route.settings, StreamSection),
        "context": _section(context, ContextSection),
        "maxEventsPerSecond": rate and rate.per_second,
        "burst": rate and rate.burst,
    }
    return {key: value for key, value in tree.items() if value is not None}


def _rule(rule: AgentAccess) -> Tree:
    return _given(
        {
            **_secret("token", rule.token),
            "allowUids": sorted(rule.uids),
            "allowGids": sorted(rule.gids),
            "canRead": sorted(rule.can_read),
            "canWriteAs": sorted(rule.can_write_as),
        }
    )


def _given(tree: Tree) -> Tree:
    """Leave out what is empty, which could not be loaded again."""
    return {key: value for key, value in tree.items() if value}


def _secret(key: str, secret: Secret | None) -> Tree:
    if secret is None:
        return {}
    return {key: MASK} if secret.path is None else {f"{key}File": str(secret.path)}


def _section(settings: object, section: type[Section]) -> Tree:
    """Return settings under the keys, and with the units, that the schema has for them."""
    info = kinds.type_info(section)
    assert isinstance(info, kinds.StructType)  # noqa: S101 - for the type checker
    tree: Tree = {}
    for field in info.fields:
        value = getattr(settings, field.name)
        if value is not None:
            tree[field.encode_name] = _plain(value, _unit(field.type))
    return tree


def _unit(kind: kinds.Type) -> str | None:
    members = kind.types if isinstance(kind, kinds.UnionType) else (kind,)
    units = ((member.extra or {}).get("unit") for member in members if isinstance(member, kinds.Metadata))
    return next(units, None)


def _plain(value: Any, unit: str | None) -> Any:
    if unit == "duration":
        return format_duration(value)
    if unit == "mode":
        return f"{value:04o}"
    if unit == "size":
        return format_size(max(value, 0))  # JetStream's -1 is "without limit", in the file 0
    if isinstance(value, Placement):
        return _given({"cluster": value.cluster, "tags": list(value.tags)})
    return str(value) if isinstance(value, Path) else value
