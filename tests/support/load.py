"""Agents under load: they number their events, note which were acknowledged, and lose none of them.

The ids of an agent are `AGENT-000001`, `AGENT-000002`, …. An emit without an ack is sent again, with the
same ids and bytes, over the next connection. So the order of acks is the order in which the daemon
accepted, except where a refusal *and* a lost connection meet in one window: tests that provoke both use
`window=1`.
"""

import itertools
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from eventd_ipc.blocking import Client, connect
from eventd_ipc.errors import EventdClientError, Refused

from .waiting import wait_until

ACK_TIMEOUT = 60.0  # seconds; a frozen daemon is no reason to send again over the same connection
RECONNECT_PAUSE = 0.02  # seconds
REFUSED_PAUSE = 0.05  # seconds before a refused emit is sent again
FINISH_TIMEOUT = 90.0  # seconds until everything must be acked

_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Shape:
    """How an agent emits.

    Attributes:
        events: In one emit.
        window: Emits without an ack.
        pause: Seconds between emits.
        size: Bytes of text in an event.
        type: Of its events.
    """

    events: int = 5
    window: int = 4
    pause: float = 0.005
    size: int = 100
    type: str = "conversation.message.out"


class Agent:
    """One agent that emits from a thread of its own until it is told to stop.

    Attributes:
        acked: Ids in the order of their acks.
        refused: How often an emit was refused, by code.
        connections: How often it connected.
        problem: What ended it before it was told to.
    """

    def __init__(self, socket: Path, name: str, shape: Shape, limit: int | None = None) -> None:
        self.name = name
        self.acked: list[str] = []
        self.refused: Counter[str] = Counter()
        self.connections = 0
        self.problem: BaseException | None = None
        self._socket = socket
        self._shape = shape
        self._limit = limit
        self._numbers = itertools.count(1)
        self._waiting: deque[list[msgspec.Raw]] = deque()
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._client: Client | None = None
        self._thread = threading.Thread(target=self._run, name=f"agent {name}", daemon=True)

    def start(self) -> None:
        """Begin to emit."""
        self._thread.start()

    def stop(self) -> None:
        """Make no more events, or those up to the limit where there is one; send until all are acked."""
        if self._limit is None:
            self._stopping.set()

    def abandon(self) -> None:
        """Send nothing more; return when its thread has ended."""
        self._stopping.set()
        self._abandoned.set()
        if self._client is not None:
            self._client.interrupt()
        self._thread.join(FINISH_TIMEOUT)

    @property
    def done(self) -> bool:
        """Whether its thread has ended: all is acked, or it was abandoned, or there is a `problem`."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._abandoned.is_set() and (self._waiting or not self._enough()):
                try:
                    with connect(self.name, socket=self._socket, timeout=ACK_TIMEOUT, patience=0.2) as client:
                        self.connections += 1
                        self._client = client
                        self._emit(client)
                except Refused as error:
                    self._note(error)
                except EventdClientError:
                    self._abandoned.wait(RECONNECT_PAUSE)
        except BaseException as error:  # told by `Load.finish`, in the test's own thread
            self.problem = error

    def _emit(self, client: Client) -> None:
        """Emit over one connection until all is acked; what has no ack stays in `_waiting`, in order."""
        while not self._abandoned.is_set():
            flight = [(emit, client.start_emit(emit)) for emit in self._next_emits()]
            if not flight:
                return
            refused: list[list[msgspec.Raw]] = []
            try:
                for emit, exchange in flight:
                    try:
                        self.acked += client.acked(exchange)
                    except Refused as error:
                        self._note(error)
                        refused.append(emit)
                    self._waiting.popleft()
            finally:
                self._waiting.extendleft(reversed(refused))
            if refused:
                self._abandoned.wait(REFUSED_PAUSE)
            else:
                self._stopping.wait(self._shape.pause)

    def _next_emits(self) -> list[list[msgspec.Raw]]:
        """Return the emits of the next window: first those that are waiting for an ack, then new ones."""
        while len(self._waiting) < self._shape.window and not self._enough():
            self._waiting.append(self._make())
        return list(itertools.islice(self._waiting, self._shape.window))

    def _enough(self) -> bool:
        return self._stopping.is_set() or (self._limit is not None and self._limit <= 0)

    def _make(self) -> list[msgspec.Raw]:
        count = self._shape.events if self._limit is None else min(self._shape.events, self._limit)
        if self._limit is not None:
            self._limit -= count
        return [raw_event(self.name, next(self._numbers), self._shape) for _ in range(count)]

    def _note(self, error: Refused) -> None:
        self.refused[error.code] += 1
        if not error.retryable:
            raise error


def event(agent: str, number: int, shape: Shape | None = None) -> dict[str, Any]:
    """Return the n-th event of an agent; the same each time."""
    shape = shape or Shape()
    return {
        "type": shape.type,
        "id": f"{agent}-{number:06d}",
        "timestamp": 1_700_000_000_000 + number,
        "session": f"agent:{agent}:main",
        "payload": {"data": {"text": "x" * shape.size, "n": number}},
    }


def raw_event(agent: str, number: int, shape: Shape | None = None) -> msgspec.Raw:
    """Return the n-th event of an agent as it is sent, so that a repeat is the same bytes."""
    return msgspec.Raw(_encode(event(agent, number, shape)))


def emit(socket: Path, agent: str, numbers: Sequence[int], shape: Shape | None = None) -> list[str]:
    """Emit the events with these numbers, once, in one emit; return their ids."""
    with connect(agent, socket=socket, timeout=ACK_TIMEOUT) as client:
        return client.emit([raw_event(agent, number, shape) for number in numbers])


class Load:
    """Several agents at once; a context manager, at whose end none of them emits any more.

    Args:
        socket: The daemon's.
        agents: Their names.
        shape: How they emit.
        limit: Events of each, after which it stops by itself.
    """

    def __init__(
        self,
        socket: Path,
        agents: Sequence[str] = ("main", "tim"),
        shape: Shape | None = None,
        *,
        limit: int | None = None,
    ) -> None:
        self.agents = [Agent(socket, name, shape or Shape(), limit) for name in agents]

    @property
    def acked(self) -> Mapping[str, list[str]]:
        """Acked ids in the order of their acks, by agent."""
        return {agent.name: list(agent.acked) for agent in self.agents}

    @property
    def count(self) -> int:
        """How many events have been acked."""
        return sum(len(agent.acked) for agent in self.agents)

    @property
    def refused(self) -> Counter[str]:
        """How often an emit was refused, by code."""
        return sum((agent.refused for agent in self.agents), Counter())

    def wait_acked(self, more: int, timeout: float = FINISH_TIMEOUT) -> None:
        """Wait until so many more events have been acked."""
        goal = self.count + more
        wait_until(lambda: self.count >= goal, timeout, what=lambda: f"{goal} acks, there are {self.count}")

    def wait_refused(self, code: str, timeout: float = FINISH_TIMEOUT) -> None:
        """Wait until each agent has had such a refusal since now."""
        before = [agent.refused[code] for agent in self.agents]
        wait_until(
            lambda: all(a.refused[code] > n for a, n in zip(self.agents, before, strict=True)),
            timeout,
            what=lambda: f"{code} for each agent, there is {self.refused}",
        )

    def finish(self, timeout: float = FINISH_TIMEOUT) -> Mapping[str, list[str]]:
        """Let the agents come to their end, all they made being acked; return the acked ids by agent."""
        for agent in self.agents:
            agent.stop()
        wait_until(lambda: all(a.done for a in self.agents), timeout, what="every event is acked")
        for agent in self.agents:
            if agent.problem is not None:
                raise agent.problem
        return self.acked

    def __enter__(self) -> Self:
        for agent in self.agents:
            agent.start()
        return self

    def __exit__(self, *_: object) -> None:
        for agent in self.agents:
            agent.abandon()
