"""Events in the shape of OpenClaw's event-store document, made of what an agent knows anyway."""

import itertools
import sys
import time
from typing import Any

import msgspec

from .events import Event


def new_id() -> str:
    """Return a UUIDv7: unique everywhere, and in the order of time."""
    if sys.version_info >= (3, 14):
        from uuid import uuid7
    else:
        from uuid_utils import uuid7
    return str(uuid7())


def now() -> int:
    """Return the time of day in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def stamp(event: Event) -> Event:
    """Return the event with an id and a timestamp, so that sending it again is a repeat of it."""
    if event.id is not None and event.timestamp is not None:
        return event
    return msgspec.structs.replace(
        event,
        id=new_id() if event.id is None else event.id,
        timestamp=now() if event.timestamp is None else event.timestamp,
    )


class Run:
    """One run of an agent: from a request to the end of the answer. Numbers the events made with it.

    Args:
        session: Session key, e.g. `agent:main:main`; also says which agent it is.
        run_id: A new UUIDv7 when absent.
        model: The model that answers, where one does.
        channel: Where the conversation takes place, e.g. `telegram`.
    """

    def __init__(
        self, session: str, *, run_id: str | None = None, model: str | None = None, channel: str | None = None
    ) -> None:
        self.session = session
        self.run_id = run_id or new_id()
        self.model = model
        self.channel = channel
        self._seqs = itertools.count(1)

    def __repr__(self) -> str:
        return f"Run({self.session!r}, run_id={self.run_id!r})"

    def next_seq(self) -> int:
        """Return the number of the run's next event, from 1. Safe to call from several threads."""
        return next(self._seqs)


def message_in(run: Run, text: str, **data: Any) -> Event:
    """A message to the agent."""
    return _build(run, "conversation.message.in", "user", {"role": "user", "text": text, **data})


def message_out(run: Run, text: str, **data: Any) -> Event:
    """A message of the agent."""
    return _build(run, "conversation.message.out", "assistant", {"role": "assistant", "text": text, **data})


def tool_call(run: Run, name: str, args: Any = None, *, call_id: str | None = None, **data: Any) -> Event:
    """The agent uses a tool.

    Args:
        call_id: Ties the result to the call.
    """
    return _build(run, "conversation.tool_call", "tool", {**_tool(name, call_id), "args": args, **data})


def tool_result(
    run: Run,
    name: str,
    result: Any = None,
    *,
    call_id: str | None = None,
    is_error: bool = False,
    **data: Any,
) -> Event:
    """A tool has answered, or failed."""
    answer = {**_tool(name, call_id), "result": result, "isError": is_error}
    return _build(run, "conversation.tool_result", "tool", {**answer, **data})


def lifecycle_start(run: Run, **data: Any) -> Event:
    """The run begins."""
    return _build(run, "lifecycle.start", "lifecycle", {"phase": "start", **data})


def lifecycle_end(run: Run, **data: Any) -> Event:
    """The run is over."""
    return _build(run, "lifecycle.end", "lifecycle", {"phase": "end", **data})


def custom(run: Run, event_type: str, data: Any = None, *, stream: str = "custom") -> Event:
    """An event of any other type.

    Args:
        event_type: Dotted lower-case name.
        data: Anything that JSON can hold.
        stream: Name of the agent's own event stream that it belongs to.
    """
    return _build(run, event_type, stream, data)


def _tool(name: str, call_id: str | None) -> dict[str, Any]:
    return {"name": name} if call_id is None else {"name": name, "toolCallId": call_id}


def _build(run: Run, event_type: str, stream: str, data: Any) -> Event:
    seq = run.next_seq()
    meta: dict[str, Any] = {"runId": run.run_id, "seq": seq}
    if run.model is not None:
        meta["model"] = run.model
    if run.channel is not None:
        meta["channel"] = run.channel
    timestamp = now()
    return Event(
        type=event_type,
        id=new_id(),
        timestamp=timestamp,
        session=run.session,
        payload={
            "runId": run.run_id,
            "stream": stream,
            "data": data,
            "sessionKey": run.session,
            "seq": seq,
            "ts": timestamp,
        },
        meta=meta,
    )
