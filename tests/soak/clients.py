"""Clients beside the agents that only emit: those that converse, read, follow, and leave without a word.

The daemon is up all the time, so a client that cannot connect, or gets no answer, is a finding. What may be
refused while the broker is away is counted.
"""

import random
import socket
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

from eventd_ipc.blocking import Client, connect
from eventd_ipc.builders import Run, custom, message_in, message_out, tool_call, tool_result
from eventd_ipc.codec import encode
from eventd_ipc.errors import Refused
from eventd_ipc.messages import PROTOCOL, Hello, Query

TIMEOUT = 60.0  # seconds for an answer; the machine may be busy
JOIN_TIMEOUT = 90.0  # seconds until a client must have ended
WORDS = [
    f"{a}{b}{c}" for a in ("mo", "ka", "li", "ru", "se") for b in "bdfgklmnprst" for c in ("an", "el", "io")
]
"""What is spoken of: not more and more words, so that the index has a reason not to grow."""

LINES = 12  # words of a message
SESSIONS = 50  # of a speaker, again and again: each new name would fill caches that have a bound far off
FACT_SHARE = 0.02  # of conversations in which something is remembered; that stays for ever


class Worker(ABC):
    """Does its turn again and again, from a thread of its own, until it is told to stop.

    Attributes:
        turns: How often it did.
        refused: Refusals that may come, by code.
        problem: What ended it before it was told to.
    """

    pause = 0.1  # seconds between two turns

    def __init__(self, socket: Path, name: str, seed: int) -> None:
        self.name = name
        self.turns = 0
        self.refused: Counter[str] = Counter()
        self.problem: BaseException | None = None
        self._socket = socket
        self._dice = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def turn(self) -> None:
        """Do it once."""

    def connect(self) -> Client:
        """Return a new connection."""
        return connect(self.name, socket=self._socket, timeout=TIMEOUT, patience=0)

    def speak(self) -> str:
        """Return something to say."""
        return " ".join(self._dice.choices(WORDS, k=LINES))

    def stop(self) -> None:
        """Let it finish its turn, and no more."""
        self._stopping.set()

    def join(self) -> None:
        """Wait for its end.

        Raises:
            AssertionError: It does not end.
        """
        self._thread.join(JOIN_TIMEOUT)
        assert not self._thread.is_alive(), f"{self.name} hangs"

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._take_turn()
                self._stopping.wait(self.pause)
        except BaseException as error:  # shown at the end of the run
            self.problem = error

    def _take_turn(self) -> None:
        try:
            self.turn()
        except Refused as error:
            if not error.retryable:
                raise
            self.refused[error.code] += 1
        self.turns += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.join()


class Speaker(Worker):
    """Has one conversation after the other, each in a session and over a connection of its own.

    Attributes:
        acked: Ids of its events, in the order of their acks.
    """

    def __init__(self, socket: Path, name: str, seed: int) -> None:
        super().__init__(socket, name, seed)
        self.acked: list[str] = []

    def turn(self) -> None:
        run = Run(f"agent:{self.name}:{self._dice.randrange(SESSIONS)}")
        with self.connect() as client:
            client.context(query=self.speak(), session=run.session)
            self.acked += client.emit(message_in(run, self.speak()))
            self.acked += client.emit(
                [tool_call(run, "look", {"for": self.speak()}), tool_result(run, "look", self.speak())]
            )
            client.recall(self.speak(), limit=5)
            self.acked += client.emit(message_out(run, self.speak()))
            if self._dice.random() < FACT_SHARE:
                self.acked += client.emit(custom(run, "memory.fact", {"text": self.speak()}))


class Reader(Worker):
    """Asks one question after the other over one connection, and makes a new one now and then."""

    def turn(self) -> None:
        with self.connect() as client:
            for ask in self._dice.sample(self._questions(client), 4):
                ask()

    def _questions(self, client: Client) -> list[Callable[[], object]]:
        dice = self._dice
        return [
            lambda: list(client.query(agent="*", limit=200)),
            lambda: list(client.query(agent="*", types="conversation.*", text=dice.choice(WORDS), limit=50)),
            lambda: list(client.tail(agent="*", last=100)),
            lambda: client.recall(self.speak(), agent=dice.choice(("tim", "ulf"))),
            lambda: client.context(agent="tim", query=self.speak()),
            lambda: list(client.tail(stream="openclaw-events", agent="*", last=20)),
            client.status,
            client.metrics,
            client.index,
            client.dead_letters,
            client.ping,
        ]


class Follower(Worker):
    """Follows new events for a while, and leaves in order or just so."""

    def turn(self) -> None:
        with self.connect() as client:
            events = client.tail(agent="*", last=5, follow=True, credit=self._dice.choice((8, 1024)))
            for _ in range(self._dice.randrange(1, 60)):
                next(events)
            if self._dice.random() < 0.5:
                events.close()
                client.ping()


class Vagabond(Worker):
    """Does not know how to behave: leaves in the middle of everything."""

    pause = 0.05

    def turn(self) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect(str(self._socket))
            self._dice.choice((self._say_nothing, self._break_off, self._ask_and_leave, self._talk_nonsense))(
                connection
            )

    def _say_nothing(self, connection: socket.socket) -> None:
        pass

    def _break_off(self, connection: socket.socket) -> None:
        connection.sendall(encode(Hello(PROTOCOL, self.name))[:-3])

    def _ask_and_leave(self, connection: socket.socket) -> None:
        connection.sendall(encode(Hello(PROTOCOL, self.name)) + encode(Query(1, agent="*", limit=5000)))
        connection.recv(100)

    def _talk_nonsense(self, connection: socket.socket) -> None:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while connection.recv(4096):
            pass
