"""What it costs to be looked at: one scrape of the metrics of a daemon with ten routes."""

import time
import urllib.request

from support.load import emit

from .idle import cpu_seconds
from .report import Sheet
from .stage import Options, shipping, workspace

NOTE = (
    "one after the other, by HTTP on loopback; the control is /health, which is a connection and a few words"
)

ROUTES = 10
SCRAPES = 200
TIME = "scrape of /metrics"
HEALTH = "scrape of /health"
CPU = "processor time of the daemon for each scrape"
SIZE = "size of a scrape"
MS = 1000.0


def measure(sheet: Sheet, options: Options) -> None:
    """Scrape a daemon that has stored an event on each route."""
    sheet.note = NOTE
    names = [f"agent-{number}" for number in range(1, ROUTES)]
    agents = {name: {"streamName": name, "subjectPrefix": f"apart.{name}"} for name in names}
    count = max(10, round(SCRAPES * options.scale))
    for _ in range(options.rounds):
        with (
            workspace(options, "scrape") as folder,
            shipping(folder, agents=agents, metrics={"listen": "127.0.0.1:0"}) as (daemon, _),
        ):
            for name in ("main", *names):
                emit(daemon.socket, name, [1])
            status = daemon.wait_for(
                lambda status: sum(route["shipped"] for route in status["routes"]) == ROUTES,
                what="each route has shipped",
            )
            place = f"http://{status['metrics']['listen']}"
            pid = daemon.pid
            assert pid is not None
            before = cpu_seconds(pid)
            seconds, size = _fetch(f"{place}/metrics", count)
            sheet.add(TIME, seconds * MS, "ms")
            sheet.add(CPU, (cpu_seconds(pid) - before) / count * MS, "ms")
            sheet.add(HEALTH, _fetch(f"{place}/health", count)[0] * MS, "ms", control=True)
            sheet.add(SIZE, size / 1000, "kB")
    sheet.compare(TIME, HEALTH)


def _fetch(url: str, count: int) -> tuple[float, int]:
    """Return the seconds that one fetch takes, and the bytes that it brings."""
    size = 0
    began = time.perf_counter()
    for _ in range(count):
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - http, and ours
            size = len(answer.read())
    return (time.perf_counter() - began) / count, size
