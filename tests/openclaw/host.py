"""OpenClaw as the plugin sees it, in a Node process of its own: `node/openclaw.mjs` calls the hooks."""

import itertools
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

import eventd
from eventd_ipc.blocking import connect
from eventd_ipc.events import Event
from support.daemon import Daemon

PLUGIN = Path(eventd.__file__).parent / "data" / "openclaw-plugin"
HOST = Path(__file__).parent / "node" / "openclaw.mjs"
TIMEOUT = 60.0  # seconds for an answer; a bound against hanging

GRANTED = {"allowConversationAccess": True}
"""What a person has to allow, so that the plugin gets all of its hooks."""

Tree = dict[str, Any]


class Host:
    """A process with the plugin in it. Its calls may be made without waiting for their ends.

    Args:
        config: The plugin's config.
        policy: `plugins.entries.eventd.hooks`.
        mode: `registrationMode`.
        environ: Variables that it has beside ours.
    """

    def __init__(
        self,
        config: Tree,
        *,
        policy: Tree | None = None,
        mode: str = "full",
        environ: dict[str, str] | None = None,
        plugin: Path = PLUGIN,
    ) -> None:
        node = shutil.which("node")
        assert node is not None, "conftest.py skips where there is none"
        start = {"plugin": config, "policy": policy, "mode": mode}
        self._process = subprocess.Popen(
            [node, str(HOST), json.dumps(start)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PLUGIN": str(plugin / "index.js")} | (environ or {}),
            text=True,
        )
        self._ids = itertools.count(1)
        self._answers: dict[int, Queue[Tree]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def start(self, hook: str, event: Tree, ctx: Tree | None = None) -> int:
        """Call a hook and do not wait; return the number of the call."""
        return self._send({"hook": hook, "event": event, "ctx": ctx or {}})

    def finish(self, call: int) -> Tree:
        """Return what came of a call: its `result`, and whether the hook returned it at once (`sync`)."""
        try:
            return self._answers[call].get(timeout=TIMEOUT)
        except Empty:
            raise AssertionError(f"the call did not end within {TIMEOUT:g} s") from None

    def call(self, hook: str, event: Tree, ctx: Tree | None = None) -> Any:
        """Call a hook and return its result."""
        return self.finish(self.start(hook, event, ctx))["result"]

    def hooks(self) -> list[str]:
        """Return the names of the hooks that OpenClaw has let it register."""
        hooks: list[str] = self.finish(self._send({"hooks": True}))["result"]
        return hooks

    def log(self) -> list[str]:
        """Return what it has logged."""
        return [line["text"] for line in self.finish(self._send({"log": True}))["result"]]

    def end(self) -> int:
        """End its input, after which nothing holds the process; return its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(TIMEOUT)

    def _send(self, message: Tree) -> int:
        number = next(self._ids)
        self._answers[number] = Queue()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, **message}) + "\n")
        self._process.stdin.flush()
        return number

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            self._answers[answer["id"]].put(answer)


def stored(daemon: Daemon, agent: str = "*") -> list[Tree]:
    """Return all events of an agent that a daemon holds, by their times."""
    with connect("main", socket=daemon.socket) as client:
        return [json.loads(event.body) for event in client.query(agent=agent, order="oldest")]


def remember(daemon: Daemon, agent: str, fact: str) -> None:
    """Store a fact that an agent is to remember."""
    with connect(agent, socket=daemon.socket) as client:
        client.emit([Event(type="memory.fact", payload={"text": fact})])
