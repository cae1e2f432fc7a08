"""The status document as lines for a person. What an older or newer daemon leaves out is left out."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .columns import columns
from .figures import count, size, span
from .output import neutral

HEALTH_COLOURS = {"ok": "green", "degraded": "yellow", "failing": "red", "away": "red"}

Tree = Mapping[str, Any]

_FLOWS = {
    "accepted": "accepted",
    "shipped": "shipped",
    "settled": "settled",
    "dead_lettered": "dead-lettered",
    "refused": "refused",
}
_LASTING = ("with", "socket", "data")
_ROUTE_HEADS = (
    "route",
    "stream",
    "state",
    "link",
    "disconnects",
    "waiting",
    "oldest",
    "shipped",
    "/s",
    "dead",
    "how",
    "server",
)


def health_of(document: Tree) -> str:
    """Return the one word for how the daemon is."""
    return str(_tree(document.get("health")).get("state") or "unknown")


def status_lines(document: Tree, *, brief: bool = False) -> list[str]:
    """Return the lines; the first one is the health and the reasons for it.

    Args:
        brief: Leave out what does not change while somebody watches.
    """
    reasons = [neutral(str(reason)) for reason in _tree(document.get("health")).get("reasons") or ()]
    lines = [neutral(health_of(document)) + (f": {reasons[0]}" if reasons else "")]
    lines += [f"  {reason}" for reason in reasons[1:]]
    lines += [f"! {remark}" for remark in _reload_remarks(_tree(document.get("reload"))) if remark]
    facts = [(label, fact) for label, fact in _facts(document) if fact and not (brief and label in _LASTING)]
    if facts:
        lines += ["", *columns(facts)]
    if flow := _flow(_tree(document.get("flow"))):
        lines += ["", *columns(flow)]
    routes = [_tree(route) for route in document.get("routes") or ()]
    if routes:
        table = columns([_ROUTE_HEADS, *map(_route, routes)])
        lines += ["", table[0]]
        for line, route in zip(table[1:], routes, strict=True):
            lines += [line, *(f"  ! {remark}" for remark in _remarks(route) if remark)]
    return lines


def _facts(document: Tree) -> Iterable[tuple[str, str]]:
    yield (
        "eventd",
        _joined(
            _part(document, "version"),
            _part(document, "pid", "pid {}"),
            _part(document, "uptime_s", "up {}", span),
        ),
    )
    yield "with", _versions(_tree(document.get("versions")))
    for key, label in (("socket", "socket"), ("data_dir", "data")):
        if key in document:
            yield label, _part(document, key)
    if "config" in document:
        yield "config", _config(document)
    yield "clients", _clients(_tree(document.get("server")))
    yield "outbox", _outbox(_tree(document.get("outbox")))
    yield "index", _index(_tree(document.get("index")))
    yield "disk", _disk(_tree(document.get("outbox")))
    yield "nats", _embedded(_tree(document.get("embedded")))
    yield "spool", _spool(_tree(document.get("spool")))


def _spool(spool: Tree) -> str:
    """Return how the events of hooks do that wait for the daemon; "" where there are none to speak of."""
    waiting, lost, aside = (int(spool.get(key) or 0) for key in ("waiting", "lost", "set_aside"))
    return _joined(
        f"{count(waiting, 'call')} of hooks to be taken in" if waiting else "",
        neutral(str(spool.get("problem") or "")),
        f"{lost} events were lost for lack of room" if lost else "",
        f"{aside} files set aside in {neutral(str(spool.get('folder')))}/aside" if aside else "",
    )


def _versions(versions: Tree) -> str:
    servers = ", ".join(neutral(str(one)) for one in versions.get("nats_servers") or ())
    return _joined(
        _part(versions, "python", "Python {}"),
        _part(versions, "sqlite", "SQLite {}"),
        _part(versions, "nats_py", "nats-py {}"),
        f"nats-server {servers}" if servers else "",
    )


def _config(document: Tree) -> str:
    reload = _tree(document.get("reload"))
    return _joined(
        _part(document, "config") or "none, the defaults are used",
        _joined(
            _part(reload, "generation", "generation {}"),
            _part(reload, "loaded_at", "of {}", _moment),
            mark=" ",
        ),
    )


def _reload_remarks(reload: Tree) -> Iterable[str]:
    """Yield what a person has to do about the configuration."""
    if error := _part(reload, "error"):
        at = _part(reload, "error_at", " at {}", _moment)
        kept = _part(reload, "generation", "; generation {} stays in force")
        yield f"the configuration was not reloaded{at}: {error}{kept}"
    if keys := ", ".join(neutral(str(key)) for key in reload.get("needs_restart") or ()):
        yield f"a restart is needed for what has changed in the configuration: {keys}"


def _flow(flow: Tree) -> list[tuple[str, ...]]:
    """Return the table of what comes and goes: a column for each, the total and the rate below."""
    parts = {name: _tree(flow.get(name)) for name in _FLOWS if flow.get(name)}
    if not parts:
        return []
    return [
        ("events", *(_FLOWS[name] for name in parts)),
        ("in all", *(_part(part, "count", "{}", _number) for part in parts.values())),
        ("a second", *(_part(part, "per_s", "{}", _rate) for part in parts.values())),
    ]


def _clients(server: Tree) -> str:
    refused = _tree(server.get("refused"))
    return _joined(
        _part(server, "connections", "{} connected", _number),
        _part(server, "events", "{} events received", _number),
        *(_part(refused, code, "{} refused as " + neutral(str(code)), _number) for code in refused),
        f"{count(server['stuck'], 'client')} taking no replies" if server.get("stuck") else "",
        f"{count(server['paused'], 'stream')} waiting for the reader" if server.get("paused") else "",
        _counted(server, "stalled", "client", " closed for taking no replies"),
    )


def _outbox(outbox: Tree) -> str:
    room = _part(outbox, "bytes", "{}", size) + _part(outbox, "max_bytes", " of {}", size)
    kept = _joined(
        _part(outbox, "retained_bytes", "{}", size), _part(outbox, "retained_span_s", "{}", span), mark=", "
    )
    return _joined(
        _part(outbox, "rows", "{} waiting", _number),
        room,
        _part(outbox, "oldest_age_s", "oldest {}", span),
        _part(outbox, "retained_rows", "{} retained" + (f" ({kept})" if kept else ""), _number),
        _counted(outbox, "dead_rows", "dead letter"),
        _counted(outbox, "lost_events", "lost event"),
        _counted(outbox, "quarantines", "quarantine"),
    )


def _index(index: Tree) -> str:
    state = str(index.get("state", "")).replace("_", " ")
    behind = sum(_tree(stream).get("behind") or 0 for stream in index.get("streams") or ())
    return _joined(
        neutral(state),
        _part(index, "events", "{} events", _number),
        _part(index, "bytes", "{}", size),
        f"{_number(index['behind'])} accepted ones to come" if index.get("behind") else "",
        f"{span(index['behind_s'])} late" if (index.get("behind_s") or 0) >= 1 else "",
        f"{_number(behind)} of the streams to come" if behind else "",
    )


def _disk(outbox: Tree) -> str:
    return _joined(
        "FULL" if outbox.get("disk_full") else "",
        _part(outbox, "disk_free", "{} free", size),
        _part(outbox, "file_bytes", "outbox.db {}", size),
        _part(outbox, "wal_bytes", "its log {}", size),
    )


def _embedded(embedded: Tree) -> str:
    if not embedded:
        return ""
    return _joined(
        f"embedded {_part(embedded, 'version')}".rstrip(),
        _part(embedded, "state"),
        _part(embedded, "port", "port {}"),
        _part(embedded, "pid", "pid {}"),
        _counted(embedded, "restarts", "restart"),
    )


def _route(route: Tree) -> tuple[str, ...]:
    return (
        _part(route, "name") + (" (old)" if route.get("configured") is False else ""),
        _part(route, "stream"),
        _part(route, "state"),
        _link(route),
        _part(route, "disconnects", "{}", _number),
        _part(route, "pending_rows", "{}", _number),
        _part(route, "oldest_age_s", "{}", span),
        _part(route, "shipped", "{}", _number),
        _part(route, "shipped_per_s", "{}", _rate),
        _part(route, "dead", "{}", _number),
        _part(route, "mode"),
        _joined(_part(route, "url"), _part(route, "server_version"), mark=" "),
    )


def _link(route: Tree) -> str:
    if not route.get("connected"):
        return "down" if route.get("connected") is False else ""
    return _part(route, "rtt_ms", "{} ms", lambda ms: f"{ms:.2g}") or "up"


def _remarks(route: Tree) -> Iterable[str]:
    if route.get("enabled") is False:
        yield "not enabled: new events are refused"
    if route.get("full"):
        yield "its room in the outbox is full: new events are refused until some are shipped"
    yield _part(route, "reason")
    if not route.get("connected", True) and route.get("last_error") != route.get("reason"):
        yield _part(route, "last_error")
    yield _counted(route, "repairs", "repair", ": the server had lost events that it had taken")
    yield _counted(route, "lost_by_server", "event", " that the server lost could not be repaired")
    yield from (neutral(str(note)) for note in route.get("notes") or ())


def _part(tree: Tree, key: str, form: str = "{}", show: Callable[[Any], str] = str) -> str:
    """Return a value in words; nothing for one that is not there."""
    value = tree.get(key)
    return "" if value is None or value == "" else form.format(neutral(show(value)))


def _counted(tree: Tree, key: str, noun: str, remark: str = "") -> str:
    """Return how many there are of something; nothing where there are none."""
    number = tree.get(key)
    return count(number, noun) + remark if number else ""


def _number(value: float) -> str:
    return f"{value:,}"


def _moment(milliseconds: int) -> str:
    from .views import local_time

    return local_time(milliseconds)


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _joined(*parts: str, mark: str = " · ") -> str:
    return mark.join(filter(None, parts))


def _tree(value: object) -> Tree:
    return value if isinstance(value, Mapping) else {}
