"""The lines of files on their way into the daemon: read, asked about, and sent if they are new."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from eventd_ipc.errors import EventdClientError, NotFound, Refused
from eventd_ipc.messages import MAX_KNOWN, RawEvent

from ..transfer.files import DamagedFile, Unpacked
from ..transfer.incoming import NotTaken, Reader
from ..transfer.incoming import Place as Origin
from ..transfer.tombstones import places_gone
from .bulk import Item, Sender
from .filters import EVERYBODY
from .known import ask_known
from .lines import Line, LineCutter
from .place import Place
from .tally import Tally

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client
    from eventd_ipc.session import Exchange

READ = 512 * 1024  # bytes of a file, unpacked, that are read at once
AHEAD = 1  # chunks that are asked about while the one before is sent
LINE_SHARE = 2  # times the largest event that a line may have: base64 takes a third more
LINE_ROOM = 64 * 1024  # bytes of a line that are not the event
APART = 500  # sequences between two messages from which on they are looked for one by one

_encode = msgspec.msgpack.Encoder().encode


class _Read(NamedTuple):
    """A line, and what it becomes."""

    line: Line
    event: RawEvent
    place: Origin | None


_Name = tuple[str, str]
"""Agent and id of an event."""


class _Chunk(NamedTuple):
    """Lines that are asked about together.

    Attributes:
        by_agent: The ids in them.
        client: Whom it was asked, and what was asked of it, in the order of the agents.
    """

    read: Sequence[_Read]
    by_agent: dict[str, list[str]]
    client: "Client"
    asked: "list[Exchange]"


class Arrival:
    """Brings in files, one after another.

    Args:
        client: Connected as an administrator; closed by `close`, as are its successors.
        agent: Whose all events become; None leaves them to whom they name.
        wait: Seconds after which a daemon that is full, away, or builds its index is given up.
        dry_run: Send nothing.
    """

    def __init__(
        self,
        place: Place,
        client: "Client",
        tally: Tally,
        *,
        agent: str | None,
        wait: float,
        dry_run: bool,
    ) -> None:
        if "put" not in client.welcome.can:
            raise Refused(
                "forbidden",
                "importing is for administrators",
                hint="run it as the user of the daemon; `eventd emit --stdin` stores an agent's own events",
            )
        self._sender = Sender(place, client, None, tally, wait, admin=True, start=_start_put)
        self._tally = tally
        self._agent = agent
        self._default = client.welcome.agent
        self._max_event = client.welcome.limits.max_event
        self._max_line = LINE_SHARE * self._max_event + LINE_ROOM
        self._wait = wait
        self._dry_run = dry_run
        self._ahead: deque[_Chunk] = deque()
        self._recent: set[_Name] = set()  # sent with the chunk before
        self._gone: set[Origin] | None = None  # where messages were that are forgotten, once that was asked

    def close(self) -> None:
        """Close the connection, and tell where the input was left when not all of it was sent."""
        self._sender.close()

    def take(self, file: Unpacked) -> None:
        """Bring in a file; returns when all of it is on disk, known, or refused.

        Raises:
            EventdClientError: The daemon was not there, or was away or full for too long.
            IndexIncomplete: Its index was not complete for too long.
        """
        reader = Reader(self._default, self._agent, self._max_event)
        cutter = LineCutter(self._max_line)
        damage: DamagedFile | None = None
        while True:
            try:
                data = file.read(READ)
            except DamagedFile as error:
                data, damage = b"", error
            read = self._read(cutter.cut(data) if data else cutter.end(), reader)
            for start in range(0, len(read), MAX_KNOWN):
                self._ahead.append(self._asked(read[start : start + MAX_KNOWN]))
                if len(self._ahead) > AHEAD:
                    self._bring(self._ahead.popleft())
            if not data or not file.has_more():
                while self._ahead:
                    self._bring(self._ahead.popleft())
                self._sender.flush()
            self._tally.advance(file.taken)
            if not data:
                break
        if damage is not None:
            self._tally.damaged(str(damage))

    def _read(self, lines: Iterable[Line], reader: Reader) -> list[_Read]:
        taken: list[_Read] = []
        for line in lines:
            if line.text is None:
                self._tally.refuse(line, "too_large", f"a line has at most {self._max_line} bytes")
                continue
            try:
                taken.append(_Read(line, *reader.read(line.text)))
            except NotTaken as error:
                self._tally.refuse(line, error.code, str(error))
        return taken

    def _asked(self, read: Sequence[_Read]) -> _Chunk:
        """Ask about events without waiting for the answers: meanwhile those before them are sent."""
        by_agent: dict[str, list[str]] = {}
        for _, event, _ in read:
            by_agent.setdefault(event.agent, []).append(event.id)
        chunk = _Chunk(read, by_agent, self._sender.client, [])
        with suppress(EventdClientError):  # then they are asked about when it is their turn
            chunk.asked.extend(chunk.client.start_known(agent, ids) for agent, ids in by_agent.items())
        return chunk

    def _bring(self, chunk: _Chunk) -> None:
        """Send the events that are not known yet."""
        passed_over = self._passed_over(chunk) | self._in_place(chunk.read)
        # What was sent since it was asked for; and should one be there once more.
        passed_over |= dict.fromkeys(self._recent, False)
        self._recent.clear()
        fresh: list[Item[Line]] = []
        for line, event, _ in chunk.read:
            name = (event.agent, event.id)
            if (forgotten := passed_over.get(name)) is None:
                data = _encode(event)
                fresh.append(Item(line, event.id, len(data), msgspec.Raw(data)))
                self._recent.add(name)
                passed_over[name] = False
            elif forgotten:
                self._tally.forgot()
            else:
                self._tally.knew()
        if self._dry_run:
            self._tally.store([(item.line, item.event_id) for item in fresh])
        else:
            self._sender.send(fresh)

    def _passed_over(self, chunk: _Chunk) -> dict[_Name, bool]:
        """Return which events are not sent, and whether that is because they were forgotten."""
        found: dict[_Name, bool] = {}
        for number, (agent, ids) in enumerate(chunk.by_agent.items()):
            answer = self._told(chunk, number)
            if answer is None or not answer["complete"]:
                answer = ask_known(self._sender, agent, ids, self._wait, self._tally.say)
            found.update(((agent, event_id), False) for event_id in answer["known"])
            found.update(((agent, event_id), True) for event_id in answer["forgotten"])
        return found

    def _told(self, chunk: _Chunk, number: int) -> dict[str, Any] | None:
        """Return the answer to what was asked ahead; None where it was lost, or never asked."""
        if number < len(chunk.asked) and chunk.client is self._sender.client:
            with suppress(EventdClientError):
                return chunk.client.told(chunk.asked[number])
        return None

    def _in_place(self, read: Iterable[_Read]) -> dict[_Name, bool]:
        """Return those of other writers' messages that are where they were: this is the store itself.

        And those that were, and are forgotten, as `_passed_over` has it.
        """
        found: dict[_Name, bool] = {}
        stretches = _stretches(read)
        if not stretches:
            return found
        gone = self._gone = self._sender.ask(places_gone) if self._gone is None else self._gone
        for stretch in stretches:
            for event in self._sender.ask(partial(_there, stretch)):
                found[event.agent, event.id] = False
            found |= {(event.agent, event.id): True for at, event in stretch.items() if at in gone}
        return found


def _stretches(read: Iterable[_Read]) -> list[dict[Origin, RawEvent]]:
    """Return other writers' messages by the places where they were, those together that were close."""
    stretches: list[dict[Origin, RawEvent]] = []
    last: Origin | None = None
    placed = [(each.place, each.event) for each in read if each.place is not None]
    for place, event in sorted(placed, key=itemgetter(0)):
        if last is None or place.stream != last.stream or place.seq - last.seq > APART:
            stretches.append({})
        stretches[-1][place] = event
        last = place
    return stretches


def _there(wanted: Mapping[Origin, RawEvent], client: "Client") -> list[RawEvent]:
    """Return those of a stretch of messages that the daemon's stream has at their places."""
    first, *_, last = (next(iter(wanted)), *wanted)
    found: list[RawEvent] = []
    try:
        with client.replay(stream=first.stream, first=first.seq, last=last.seq, agent=EVERYBODY) as events:
            for there in events:
                event = wanted.get(Origin(there.stream, there.seq, there.time))
                if event is not None and (event.subject, event.body) == (there.subject, there.body):
                    found.append(event)
    except NotFound:
        pass  # no route uses a stream of that name
    return found


def _start_put(client: "Client", events: Sequence[msgspec.Raw]) -> "Exchange":
    return client.start_put(events)
