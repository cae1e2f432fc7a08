"""Errors explain themselves and say what to do."""

import inspect

import pytest

from eventd_ipc import errors
from eventd_ipc.errors import CODES, EventdClientError, MalformedEvent, NotRunning, Refused

KINDS = [
    kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, EventdClientError)
]
CONNECTION_LEVEL = {
    "bad_frame",
    "frame_too_large",
    "hello_required",
    "hello_timeout",
    "unsupported_protocol",
    "too_many_connections",
    "unauthorised",
}


def test_the_set_of_codes_is_closed() -> None:
    """A change here is a change of the protocol."""
    assert set(CODES) == CONNECTION_LEVEL | {
        "malformed",
        "too_large",
        "id_conflict",
        "forgotten",
        "forbidden",
        "disabled",
        "outbox_full",
        "disk_full",
        "slow_down",
        "unavailable",
        "shutting_down",
        "unknown_op",
        "bad_request",
        "not_found",
        "internal",
    }
    assert {code for code, info in CODES.items() if info.closes_connection} == CONNECTION_LEVEL


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_hint(code: str) -> None:
    assert CODES[code].hint


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_explains_itself(kind: type[EventdClientError]) -> None:
    assert kind.__doc__
    assert kind.__doc__.partition("\n")[0].endswith(".")


def test_docstring_is_the_default_message_and_the_hint_follows() -> None:
    assert str(NotRunning()) == "eventd is not running. (start it with `eventd run` or `make run`)"
    assert str(NotRunning("nobody there", hint="wait")) == "nobody there (wait)"
    assert str(NotRunning("nobody there", hint="")) == "nobody there"


def test_refusal_and_malformed_event_carry_what_programs_need() -> None:
    refused = Refused("slow_down", "too fast", retryable=True, hint="wait", index=3, retry_after=0.5)
    assert str(refused) == "slow_down: too fast (wait)"
    assert (refused.retryable, refused.index, refused.retry_after) == (True, 3, 0.5)
    malformed = MalformedEvent("$.payload.x", "JSON has no nan")
    assert (str(malformed), malformed.code) == ("JSON has no nan at $.payload.x", "malformed")
