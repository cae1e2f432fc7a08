"""The lines of files on their way into the daemon: read, asked about, and sent if they are new."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from eventd_ipc.errors import Refused
from eventd_ipc.messages import MAX_KNOWN, RawEvent

from ..transfer.files import DamagedFile, Unpacked
from ..transfer.incoming import NotTaken, Reader
from .bulk import Item, Sender
from .known import ask_known
from .lines import CHUNK, MAX_LINE, Line, LineCutter
from .place import Place
from .tally import Tally

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client
    from eventd_ipc.session import Exchange

_encode = msgspec.msgpack.Encoder().encode


class _Taken(NamedTuple):
    """An event of a line."""

    line: Line
    event: RawEvent


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
        self._wait = wait
        self._dry_run = dry_run

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
        cutter = LineCutter()
        damage: DamagedFile | None = None
        while True:
            try:
                data = file.read(CHUNK)
            except DamagedFile as error:
                data, damage = b"", error
            lines = cutter.cut(data) if data else cutter.end()
            self._bring(self._read(lines, reader))
            self._tally.advance(file.taken)
            if not data:
                break
        self._sender.flush()
        if damage is not None:
            self._tally.damaged(str(damage))

    def _read(self, lines: Iterable[Line], reader: Reader) -> list[_Taken]:
        taken: list[_Taken] = []
        for line in lines:
            if line.text is None:
                self._tally.refuse(line, "too_large", f"a line has at most {MAX_LINE} bytes")
                continue
            try:
                taken.append(_Taken(line, reader.read(line.text)))
            except NotTaken as error:
                self._tally.refuse(line, error.code, str(error))
        return taken

    def _bring(self, taken: Sequence[_Taken]) -> None:
        """Send the events that are not known yet."""
        for start in range(0, len(taken), MAX_KNOWN):
            some = taken[start : start + MAX_KNOWN]
            passed_over = self._passed_over(some)
            fresh: list[Item] = []
            for line, event in some:
                name = (event.agent, event.id)
                if (forgotten := passed_over.get(name)) is None:
                    data = _encode(event)
                    fresh.append(Item(line, event.id, len(data), msgspec.Raw(data)))
                    passed_over[name] = False  # should it be there once more
                elif forgotten:
                    self._tally.forgot()
                else:
                    self._tally.knew()
            if self._dry_run:
                self._tally.store([(item.line, item.event_id) for item in fresh])
            else:
                self._sender.send(fresh)

    def _passed_over(self, taken: Iterable[_Taken]) -> dict[tuple[str, str], bool]:
        """Return the agent and id of events that are not sent, and whether they were forgotten."""
        by_agent: dict[str, list[str]] = {}
        for _, event in taken:
            by_agent.setdefault(event.agent, []).append(event.id)
        found: dict[tuple[str, str], bool] = {}
        for agent, ids in by_agent.items():
            answer = ask_known(self._sender, agent, ids, self._wait, self._tally.say)
            found.update(((agent, event_id), False) for event_id in answer["known"])
            found.update(((agent, event_id), True) for event_id in answer["forgotten"])
        return found


def _start_put(client: "Client", events: Sequence[msgspec.Raw]) -> "Exchange":
    return client.start_put(events)
