"""The part of config.yml that fits the server: where each agent's events go, and as whom."""

from collections.abc import Mapping
from typing import Any

import yaml

from ..config.problems import ROOT
from .plan import Mode, Plan, Tenant

Tree = dict[str, Any]

_HEAD = """\
# Fits the nats-server configuration that `eventd nats-config` made. It says where events go and as whom;
# everything else of your config.yml can stand beside it.
"""


def snippet_text(plan: Plan, files: Mapping[str, str] | None = None) -> str:
    """Return `snippet` as YAML with a comment above, a whole config file in itself."""
    return _HEAD + yaml.safe_dump(snippet(plan, files), sort_keys=False, allow_unicode=True)


def snippet(plan: Plan, files: Mapping[str, str] | None = None) -> Tree:
    """Return the keys under `gateway.eventStore`.

    Args:
        plan: Whom it is for.
        files: By login, the file that its secret stands in. A secret without one stands there by value,
            unless the configuration has it in a file already.
    """
    default, *agents = plan.tenants
    node: Tree = {"url": ",".join(plan.server.urls)}
    if plan.js_domain:
        node["jsDomain"] = plan.js_domain
    if plan.mode is Mode.USERS:
        node["sharedAccount"] = True
    node |= _tls(plan) | _route(default, files or {})
    if agents:
        node["agents"] = {tenant.route.name: _route(tenant, files or {}) for tenant in agents}
    for key in reversed(ROOT):
        node = {key: node}
    return node


def _route(tenant: Tenant, files: Mapping[str, str]) -> Tree:
    route, login = tenant.route, tenant.login
    tree: Tree = {} if route.enabled else {"enabled": False}
    tree |= {"streamName": route.stream, "subjectPrefix": route.prefix}
    key = "nkeySeed" if login.user is None else "password"
    if login.user is not None:
        tree["user"] = login.user
    file = files.get(login.name) or login.secret.path
    return tree | ({key: login.secret.reveal()} if file is None else {f"{key}File": str(file)})


def _tls(plan: Plan) -> Tree:
    tls = plan.server.tls
    if tls is None:
        return {}
    found = {
        "caFile": tls.ca_file,
        "certFile": tls.cert_file,
        "keyFile": tls.key_file,
        "serverName": tls.server_name,
    }
    return {"tls": {key: str(value) for key, value in found.items() if value is not None}}
