"""A test event: written over the socket like any other, then looked for in the index and in the stream.

It is of type `doctor.test` and of agent `eventd-doctor`, unless another agent's route is looked at, and it is
`secret`: only its own agent reads it, and no search finds it. It is small, and expires like every event. As a
real agent it has the time of that agent's newest event: what is recent in a context counts back from there.
"""

import json
import time
from dataclasses import dataclass

import anyio
import anyio.to_thread

from eventd_ipc.blocking import Client
from eventd_ipc.builders import new_id, now
from eventd_ipc.errors import EventdClientError, Refused, Unauthorised
from eventd_ipc.events import Event
from eventd_ipc.messages import StoredEvent

from ..config.settings import Config
from ..errors import ConfigError, EventdError, NatsError
from ..events.normal import normalise
from ..jetstream.reading import get_message
from ..jetstream.session import open_session
from ..subjects import subject_of
from .endpoints import endpoint_of
from .model import Finding, Findings, Level, unmade
from .nats import GETTING_READY, Examined
from .visit import Connect, Tree, Visit, hint_of, text_of

AGENT = "eventd-doctor"
TYPE = "doctor.test"
TEXT = "A test event of `eventd doctor`. It means nothing."

POLL = 0.05  # seconds between two looks into the index
TITLE = "test event"
_SHIPPING = ("idle", "shipping")


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the test event.

    Attributes:
        at: When it was sent, Unix milliseconds.
        accepted: Seconds until it was on disk.
        indexed: Seconds until the index had it; None: not in time.
        stored: It, as the daemon says that it is stored; None where it did not get there in time.
    """

    id: str
    at: int
    accepted: float
    indexed: float | None
    stored: StoredEvent | None


async def examine_trial(
    config: Config | None,
    examined: Examined | None,
    visited: Visit,
    connect: Connect,
    agent: str | None,
    timeout: float,
) -> Findings:
    """Send the test event and say how far it comes.

    Args:
        config: None where it is not known here.
        examined: The route that it takes; None where that is not known.
        agent: As whom it is written, if not as `AGENT`.
        timeout: Seconds until it must have arrived.
    """
    name = agent or AGENT
    if visited.welcome is None:
        return [unmade("trial.accepted", TITLE, "there is no daemon to send it to")]
    if examined is not None and not _is_harmless(examined, name):
        return [
            unmade(
                "trial.accepted", TITLE,
                f"not sent: stream {examined.route.stream} takes none of {name}; it would be a dead letter",
                "`eventd doctor --agent NAME` sends it as an agent that has a place there",
            )
        ]  # fmt: skip
    route = visited.routes().get(
        "default" if examined is None or examined.route.name == "*" else examined.route.name
    )
    connected = route is None or (bool(route.get("connected")) and route.get("state") in _SHIPPING)
    try:
        sent = await anyio.to_thread.run_sync(_send, connect, name, connected or _is_new(route), timeout)
    except Unauthorised as error:
        why = f"not sent: we may not write as {name}: {error.message}"
        return [
            unmade(
                "trial.accepted",
                TITLE,
                why,
                "run it as an administrator, or with --agent NAME and EVENTD_TOKEN",
            )
        ]
    except (EventdClientError, EventdError) as error:
        text = error.message if isinstance(error, Refused) else text_of(error)
        return [Finding("trial.accepted", Level.PROBLEM, TITLE, f"it was not taken: {text}", hint_of(error))]
    findings = [
        Finding("trial.accepted", Level.OK, TITLE, f"on disk after {_ms(sent.accepted)}, as {name} {TYPE}"),
        _indexed(sent, timeout),
    ]
    if sent.stored is None and not connected:
        text = "it waits in the outbox like all others, until the route ships again"
        findings.append(Finding("trial.stream", Level.NOTE, "in the stream", text))
    elif sent.stored is None:
        text = f"it did not get there within {timeout:g} s"
        findings.append(
            Finding(
                "trial.stream", Level.PROBLEM, "in the stream", text, "`eventd status` says what holds it up"
            )
        )
    else:
        findings.append(
            await _in_stream(config, examined, visited, sent.stored, f"{name}:{sent.id}", sent.at, timeout)
        )
    return findings


def _is_new(route: Tree | None) -> bool:
    """Whether a route only needs another moment."""
    if route is None or float(route.get("unready_s") or 0.0) >= GETTING_READY:
        return False
    return bool(route.get("connected")) or not route.get("connects")


def _is_harmless(examined: Examined, agent: str) -> bool:
    """Whether the event can be stored, as far as that is known. Who shares an account lists its agents."""
    taken = examined.takes(subject_of(examined.route.prefix, agent, TYPE))
    return taken if taken is not None else not examined.route.shared_account


def _send(connect: Connect, agent: str, wait_stored: bool, timeout: float) -> Sent:
    """Send it, and look for it until it is stored or the time is up. Blocks."""
    with connect(agent) as client:
        sent_at = now()
        event = Event(
            TYPE, id=new_id(), timestamp=min(sent_at, _newest(client, agent) or sent_at), agent=agent,
            session="doctor", visibility="secret", payload={"stream": "doctor", "data": {"text": TEXT}},
        )  # fmt: skip
        began = time.monotonic()
        [event_id] = client.emit([event])
        accepted = time.monotonic() - began
        indexed: float | None = None
        while True:
            found = _find(client, agent, event_id)
            passed = time.monotonic() - began
            if found is not None and indexed is None:
                indexed = passed
            stored = found is not None and found.seq > 0
            if stored or passed > timeout or (found is not None and not wait_stored):
                return Sent(event_id, sent_at, accepted, indexed, found if stored else None)
            time.sleep(POLL)


def _newest(client: Client, agent: str) -> int | None:
    """Return the time of a real agent's newest event, Unix milliseconds; None where there is none."""
    if agent == AGENT:
        return None
    with client.query(agent=agent, limit=1) as events:
        newest = [normalise(stored.body) for stored in events]
    return newest[0].time if newest and newest[0] is not None else None


def _find(client: Client, agent: str, event_id: str) -> StoredEvent | None:
    """Return the event as the index has it."""
    with client.query(agent=agent, types=[TYPE], limit=20) as events:
        for stored in events:
            try:
                if json.loads(stored.body).get("id") == event_id:
                    return stored
            except (ValueError, AttributeError):
                continue
    return None


def _indexed(sent: Sent, timeout: float) -> Finding:
    check, title = "trial.index", "in the index"
    if sent.indexed is None:
        text = f"no query finds it within {timeout:g} s"
        remedy = "`eventd index status`; `eventd index rebuild` makes it anew"
        return Finding(check, Level.PROBLEM, title, text, remedy)
    return Finding(check, Level.OK, title, f"found after {_ms(sent.indexed)}")


async def _in_stream(
    config: Config | None,
    examined: Examined | None,
    visited: Visit,
    stored: StoredEvent,
    msg_id: str,
    at: int,
    timeout: float,
) -> Finding:
    """Look into the stream itself: whether what the daemon says is there."""
    check, title = "trial.stream", "in the stream"
    place = f"{stored.stream} {stored.seq}"
    if config is None or examined is None or not examined.reached:
        return Finding(
            check, Level.OK, title, f"the daemon has it stored at {place}; we cannot look ourselves"
        )
    try:
        with anyio.fail_after(timeout):
            endpoint = await endpoint_of(config, examined.route, visited)
            async with open_session(endpoint, examined.route.name) as session:
                message = await get_message(session, stored.stream, stored.seq)
    except (TimeoutError, NatsError, ConfigError) as error:
        return unmade(
            check, title, f"the daemon has it stored at {place}; we cannot look: {str(error) or 'no answer'}"
        )
    if message is None or message.msg_id != msg_id:
        return Finding(
            check, Level.PROBLEM, title, f"the daemon has it stored at {place}, and it is not there",
            "does the route log in to another account than the daemon? has the stream been purged just now?",
        )  # fmt: skip
    took = max(0, message.time - at)
    return Finding(check, Level.OK, title, f"at {place}, {took} ms after it was sent")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
