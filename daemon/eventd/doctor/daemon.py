"""What the daemon says of itself: its health, what waits, what could not be published, and the index."""

from collections.abc import Iterator, Mapping
from typing import Any

from eventd_ipc.errors import CODES

from .model import Finding, Findings, Level, worst
from .visit import Tree, Visit

WAITING = 30.0  # seconds that an event may wait before that is worth a look: G6's bound
INDEX_BEHIND = 30.0  # seconds
FULL = 80  # percent of the outbox

_HEALTH = {"ok": Level.OK, "degraded": Level.WARNING, "failing": Level.PROBLEM}


def examine_daemon(visited: Visit) -> Findings:
    """Return findings about everything in the status but its routes."""
    if not visited.status:
        return []
    return [
        *_outbox(visited.part("outbox")),
        *_dead(visited.routes()),
        *_lost(visited.part("outbox")),
        *_index(visited.part("index")),
        *_refused(visited.part("server")),
        *_embedded(visited.part("embedded")),
        *_metrics(visited.part("metrics")),
    ]


def health(visited: Visit, others: Findings) -> Findings:
    """Return the daemon's one word; where other findings have its reasons, it does not count again."""
    if not visited.status:
        return []
    told = visited.part("health")
    state = str(told.get("state", "unknown"))
    level = _HEALTH.get(state, Level.WARNING)
    reasons = "; ".join(map(str, told.get("reasons") or ()))
    if level > Level.OK and worst(others) >= level:
        return [Finding("daemon.health", Level.NOTE, "health", f"it says {state}: {reasons}")]
    text = f"it says {state}" + (f": {reasons}" if reasons else "")
    return [Finding("daemon.health", level, "health", text, "`eventd status` has more" if level else "")]


def _outbox(outbox: Tree) -> Iterator[Finding]:
    check, title = "events.backlog", "outbox"
    rows, oldest = int(outbox.get("rows") or 0), _number(outbox.get("oldest_age_s"))
    percent = int(outbox.get("bytes") or 0) * 100 // max(1, int(outbox.get("max_bytes") or 1))
    if not rows:
        yield Finding(check, Level.OK, title, "nothing waits for NATS")
        return
    text = f"{rows:,} waiting for NATS, the oldest for {oldest:.0f} s"
    text += f"; {percent} % of the outbox is taken" if percent else ""
    remedy = "they are safe on disk and go out by themselves once the route's trouble (below) is over"
    if percent >= FULL:
        remedy += "; until then raise outbox.maxBytes if the disk has room"
        yield Finding(check, Level.PROBLEM if percent >= 100 else Level.WARNING, title, text, remedy)
    elif oldest > WAITING:
        yield Finding(check, Level.WARNING, title, text, remedy)
    else:
        yield Finding(check, Level.OK, title, text)


def _dead(routes: Mapping[str, Tree]) -> Iterator[Finding]:
    check, title = "events.dead_letters", "dead letters"
    dead = {name: int(route.get("dead") or 0) for name, route in routes.items()}
    total = sum(dead.values())
    if not total:
        yield Finding(check, Level.OK, title, "none")
        return
    where = ", ".join(f"{many} of route {name}" for name, many in dead.items() if many)
    yield Finding(
        check, Level.WARNING, title, f"{total} events could not be published: {where}",
        "`eventd deadletter list` says why; `eventd deadletter retry --all` once that is mended",
    )  # fmt: skip


def _lost(outbox: Tree) -> Iterator[Finding]:
    if lost := outbox.get("lost_events"):
        yield Finding(
            "events.lost", Level.PROBLEM, "lost",
            f"{lost} acknowledged events were lost with a damaged outbox",
            "the damaged file is kept in the quarantine folder of the data folder; check the disk",
        )  # fmt: skip
    elif outbox.get("quarantines"):
        text = "a damaged outbox was set aside; everything in it could be saved"
        yield Finding("events.lost", Level.WARNING, "lost", text, "check the disk")


def _index(index: Tree) -> Iterator[Finding]:
    check, title = "events.index", "index"
    if not index:
        return
    state, behind = str(index.get("state", "")), _number(index.get("behind_s"))
    streams = [stream for stream in index.get("streams") or () if stream.get("behind")]
    late = sum(int(stream["behind"]) for stream in streams)
    text = f"{state.replace('_', ' ')} · {int(index.get('events') or 0):,} events"
    text += f" · {index['behind']} accepted ones to come" if index.get("behind") else ""
    text += f" · {late:,} of the streams to come" if late else ""
    if problem := index.get("problem"):
        remedy = "`eventd index rebuild` makes it anew from outbox and streams; nothing is lost by it"
        yield Finding(check, Level.WARNING, title, f"{text}: {problem}", remedy)
    elif behind > INDEX_BEHIND:
        remedy = "queries and context miss the newest events until it has caught up"
        yield Finding(check, Level.WARNING, title, f"{text}: {behind:.0f} s behind", remedy)
    elif state != "ready":
        yield Finding(
            check, Level.NOTE, title, f"{text}: until it is ready, queries and context may miss events"
        )
    else:
        yield Finding(check, Level.OK, title, text)


def _refused(server: Tree) -> Iterator[Finding]:
    refused = server.get("refused")
    for code, many in (refused if isinstance(refused, Mapping) else {}).items():
        known = CODES.get(str(code))
        yield Finding(
            "events.refused", Level.NOTE, "refused", f"{many} requests or events since it started, as {code}",
            known.hint if known else "",
        )  # fmt: skip


def _embedded(embedded: Tree) -> Iterator[Finding]:
    if not embedded:
        return
    check, title = "daemon.embedded", "nats-server"
    state = str(embedded.get("state", ""))
    text = f"nats-server {embedded.get('version') or '(unknown)'} {state}"
    text += f" · port {embedded['port']}" if embedded.get("port") else ""
    trouble = embedded.get("problem") or embedded.get("last_exit") or ""
    if state == "ready":
        restarts = int(embedded.get("restarts") or 0)
        if restarts:
            text += (
                f" · started again {restarts} time{'' if restarts == 1 else 's'}: {embedded.get('last_exit')}"
            )
        yield Finding(check, Level.NOTE if restarts else Level.OK, title, text)
    elif state == "starting":
        yield Finding(check, Level.NOTE, title, text)
    else:
        yield Finding(
            check, Level.PROBLEM, title, f"{text}: {trouble}",
            "see its message; without one: pip install 'openclaw-eventd[embedded]', or set url to a server",
        )  # fmt: skip


def _metrics(metrics: Tree) -> Iterator[Finding]:
    if problem := metrics.get("problem"):
        yield Finding(
            "daemon.metrics",
            Level.WARNING,
            "metrics",
            str(problem),
            "choose another address for metrics.listen",
        )


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
