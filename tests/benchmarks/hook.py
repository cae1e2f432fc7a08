"""`eventd hook` as a whole process, beside an interpreter that does nothing, and a bare socket client."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from eventd_ipc.paths import SOCKET_VARIABLE

from .report import Sheet
from .stage import Options, eventd, workspace

NOTE = "wall time, bytecode cached; each run is one process. `spooled`: no daemon is there"

HOOK = "eventd hook, a tool call"
SECRET = "the same with words like 'token' in it"
START = "eventd hook, a session's start with its context"
SPOOLED = "eventd hook, spooled"
BARE = "a bare socket client"
NOTHING = "python -c pass"
RUNS = 10  # of each, in each round

# The least that a hook could do: read JSON, send one event, wait for the ack.
CLIENT = """
import json, os, socket, struct, sys
given = json.load(sys.stdin)
text = given["tool_use_id"].encode()
def s(b): return b"\\xd9" + bytes([len(b)]) + b
def frame(b): return struct.pack(">I", len(b)) + b
hello = b"\\x83" + s(b"op") + s(b"hello") + s(b"protocol") + b"\\x01" + s(b"agent") + s(b"bench")
event = b"\\x82" + s(b"type") + s(b"bench.note") + s(b"payload") + b"\\x81" + s(b"text") + s(text)
emit = b"\\x83" + s(b"op") + s(b"emit") + s(b"id") + b"\\x01" + s(b"events") + b"\\x91" + event
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon:
    daemon.connect(os.environ["EVENTD_SOCKET"])
    daemon.sendall(frame(hello) + frame(emit))
    data = b""
    while b"ack" not in data:
        data += daemon.recv(65536)
"""


def measure(sheet: Sheet, options: Options) -> None:
    """Run all of them in turn."""
    sheet.note = NOTE
    hook = [str(Path(sys.executable).with_name("eventd")), "hook", "claude-code"]
    with workspace(options, "hook") as folder, eventd(folder) as daemon:
        there = _environment(folder) | {SOCKET_VARIABLE: str(daemon.socket)}
        away = there | {SOCKET_VARIABLE: str(folder / "nobody.sock")}
        _run(hook, there, _call("warm-up"))  # writes the bytecode that the next ones find
        for number in range(RUNS * options.rounds):
            sheet.add(HOOK, _run(hook, there, _call(f"a{number}")), "ms")
            sheet.add(SECRET, _run(hook, there, _call(f"b{number}", "echo token, password, key")), "ms")
            sheet.add(START, _run(hook, there, _start(f"c{number}")), "ms")
            sheet.add(SPOOLED, _run(hook, away, _call(f"d{number}")), "ms")
            bare = _run([sys.executable, "-c", CLIENT], there, _call(f"e{number}"))
            sheet.add(BARE, bare, "ms", control=True)
            sheet.add(NOTHING, _run([sys.executable, "-c", "pass"], there, b""), "ms", control=True)
    for figure in (HOOK, SECRET, START, SPOOLED):
        sheet.compare(figure, NOTHING)


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of a user's hooks, with a state of their own and bytecode."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"XDG_STATE_HOME": str(folder / "state"), "EVENTD_SPOOL": str(folder / "spool")}


def _call(tool_use: str, command: str = "ls -l") -> bytes:
    return json.dumps(
        {
            "session_id": "bench",
            "transcript_path": "/home/ada/.claude/projects/-home-ada/bench.jsonl",
            "cwd": "/tmp",
            "hook_event_name": "PreToolUse",
            "tool_name": "Bash",
            "tool_input": {"command": command},
            "tool_use_id": tool_use,
        }
    ).encode()


def _start(session: str) -> bytes:
    return json.dumps(
        {"session_id": session, "cwd": "/tmp", "hook_event_name": "SessionStart", "source": "startup"}
    ).encode()


def _run(command: Sequence[str], environment: Mapping[str, str], given: bytes) -> float:
    """Return the milliseconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(command, input=given, env=environment, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - start) * 1000
