"""Each hook that OpenClaw calls, and the events that come of it. After a change that is meant, look at it:

GOLDEN=write make test ARGS=tests/openclaw/test_golden.py && git diff tests/openclaw/golden
"""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

from support.daemon import Daemon

from .conftest import HostFactory
from .host import stored

FOLDER = Path(__file__).parent / "golden"
HOOKS = json.loads((FOLDER / "hooks.json").read_text(encoding="utf-8"))
EVENTS = FOLDER / "events.json"

RECENT = 3_600_000  # ms; a time that is no older than this came from the clock
MINUTES = re.compile(r":\d{8}(?=:|$)")


def plain(value: Any, now: int) -> Any:
    """Return an event without what is another one each time: times of the clock, and ids made of them."""
    if isinstance(value, dict):
        return {key: plain(held, now) for key, held in value.items()}
    if isinstance(value, list):
        return [plain(held, now) for held in value]
    if isinstance(value, int) and abs(value - now) < RECENT:
        return "now"
    if isinstance(value, str):
        value = re.sub(r"^v\d+\.\d+\.\d+$", "v0.0.0", value)
        return re.sub(r"(?<=gateway:st)(art|op):\d+$", r"\1:now", MINUTES.sub(_minute, value))
    return value


def _minute(found: re.Match[str]) -> str:
    minutes = int(found.group()[1:])
    return ":minute" if abs(minutes - time.time() / 60) < RECENT / 60_000 else found.group()


def test_events_of_all_hooks_are_the_recorded_ones(daemon: Daemon, host_factory: HostFactory) -> None:
    """Types, ids, agents, sessions, provenance; nothing twice, no secret, nothing private."""
    host = host_factory(daemon.socket, {"inject": False})
    for call in HOOKS:
        assert host.call(call["hook"], call["event"], call["ctx"]) in (None, True, False)
    assert host.log() == []
    body = sorted(stored(daemon), key=lambda event: (event["agent"], event["id"]))
    found = json.dumps(
        [plain(event, int(time.time() * 1000)) for event in body], indent=1, ensure_ascii=False
    )
    for secret in ("ghp_0", "swordfish1", "it's a gift", "no context", "iVBOR", "never arrived"):
        assert secret not in found
    if os.environ.get("GOLDEN") == "write":
        EVENTS.write_text(found + "\n", encoding="utf-8")
    assert json.loads(found) == json.loads(EVENTS.read_text(encoding="utf-8"))


def test_each_hook_of_the_plugin_is_called_here(host_factory: HostFactory, short_tmp: Path) -> None:
    """The recording is of all of them."""
    assert set(host_factory(short_tmp / "nobody").hooks()) == {call["hook"] for call in HOOKS}
