"""`eventd emit`: stores events."""

import sys
from typing import TYPE_CHECKING, Any, get_args

import click

from eventd_ipc.errors import MalformedEvent
from eventd_ipc.events import Event, Visibility

from .defaults import Defaults, identified
from .options import AGENT_VARIABLE, Duration, JsonObject, json_option, option
from .output import is_terminal, print_json, print_line
from .place import DEFAULT_AGENT, Place

if TYPE_CHECKING:
    from .exits import ExitCode

MAX_INPUT = 64 * 2**20  # bytes of one event on standard input; far more than any NATS server takes

EPILOG = """\b
Examples:
  eventd emit --type conversation.message.in --text "hello"
  eventd emit --type build.done --agent ci --payload '{"data": {"ok": true}}'
  echo '{"type": "note", "payload": {"data": {"text": "x"}}}' | eventd emit
  eventd emit --stdin < events.ndjson

With --stdin every line is one JSON event. Lines that cannot be taken are told with their number, the rest is
stored, and the exit code is 4. An event that is sent again with the same id is stored once, so a file whose
events have ids can be sent again after a failure.
"""


@click.command("emit", epilog=EPILOG)
@option("--type", "event_type", metavar="TYPE", help="Dotted lower-case name, e.g. conversation.message.in.")
@option("--text", help="What was said; goes to payload.data.text.")
@option("--agent", envvar=AGENT_VARIABLE, help="Who acts.  [default: the session's agent, else main]")
@option("--session", help="Session key.  [default with --type: agent:AGENT:main]")
@option("--id", "event_id", help="Id of the event.  [default: a UUIDv7]")
@option("--visibility", type=click.Choice(get_args(Visibility)), help="Who may see it.  [default: internal]")
@option("--payload", type=JsonObject(), metavar="JSON", help="What happened, as a JSON object.")
@option("--meta", type=JsonObject(), metavar="JSON", help="What is known about it, as a JSON object.")
@option("--stdin", "bulk", is_flag=True, help="Read many events from standard input, one a line.")
@option(
    "--wait",
    type=Duration(),
    default="10s",
    show_default=True,
    help="With --stdin: how long to try again when the daemon is full or away.",
)
@json_option
@click.pass_obj
def command(
    place: Place,
    event_type: str | None,
    text: str | None,
    agent: str | None,
    session: str | None,
    event_id: str | None,
    visibility: Visibility | None,
    payload: dict[str, Any] | None,
    meta: dict[str, Any] | None,
    bulk: bool,
    wait: float,
    as_json: bool,
) -> "ExitCode | None":
    """Store an event, or many from standard input.

    The event comes from the flags, or as JSON from standard input where --type is missing; --agent, --session
    and --visibility then say what the events leave out. When the command returns 0, the events are on disk.
    Prints their ids.
    """
    defaults = Defaults(agent, session, visibility)
    described = (text, event_id, payload, meta)
    if bulk:
        if sys.stdin is None:
            raise click.UsageError("standard input is closed")
        if event_type is not None or any(part is not None for part in described):
            raise click.UsageError("with --stdin the events say type, text, id, payload and meta themselves")
        from .bulk import emit_lines

        return emit_lines(place, sys.stdin.buffer.fileno(), defaults, wait=wait, as_json=as_json)
    if event_type is not None:
        event = build_event(event_type, text, defaults, event_id, payload, meta)
    elif any(part is not None for part in described):
        raise click.UsageError("an event needs a --type")
    elif sys.stdin is None or is_terminal(sys.stdin):
        raise click.UsageError("give a --type, or a JSON event on standard input")
    else:
        event = defaults.complete(_read_event())
    with place.connect(agent or event.agent) as client:
        (stored,) = client.emit(identified(event))
    if as_json:
        print_json({"id": stored})
    else:
        print_line(stored)
    return None


def build_event(
    event_type: str,
    text: str | None,
    defaults: Defaults,
    event_id: str | None,
    payload: dict[str, Any] | None,
    meta: dict[str, Any] | None,
) -> Event:
    """Make the event that the flags describe; a text stands where the document has the text of messages."""
    session = defaults.session or f"agent:{defaults.agent or DEFAULT_AGENT}:main"
    if text is not None and payload is None:
        event = _build_text(event_type, text, session)
    else:
        event = Event(event_type, session=session, payload=_with_text(payload or {}, text))
    event.agent = defaults.agent
    event.visibility = defaults.visibility
    event.meta = event.meta | (meta or {})
    if event_id is not None:
        event.id = event_id
    return event


def _build_text(event_type: str, text: str, session: str) -> Event:
    from eventd_ipc.builders import Run, custom, message_in, message_out

    run = Run(session)
    match event_type:
        case "conversation.message.in":
            return message_in(run, text)
        case "conversation.message.out":
            return message_out(run, text)
    return custom(run, event_type, {"text": text})


def _with_text(payload: dict[str, Any], text: str | None) -> dict[str, Any]:
    if text is None:
        return payload
    data = payload.get("data", {})
    if not isinstance(data, dict):
        raise click.UsageError("--text needs a payload whose `data` is an object")
    return payload | {"data": data | {"text": text}}


def _read_event() -> Event:
    from .lines import decode_event

    text = sys.stdin.buffer.read(MAX_INPUT + 1)
    if len(text) > MAX_INPUT:
        raise click.UsageError(f"one event on standard input has at most {MAX_INPUT} bytes; see --stdin")
    if not text.strip():
        raise click.UsageError("there is no event on standard input; give one, or a --type")
    try:
        return decode_event(text)
    except MalformedEvent as error:
        if b"\n" in text.strip():
            error.hint = "give --stdin where every line is an event"
        raise
