"""Refusals take their flags from the table of codes."""

import pytest

from eventd.ingest.refusal import refusal
from eventd_ipc.errors import CODES


@pytest.mark.parametrize("code", CODES)
def test_each_code_has_its_own_flags_and_hint(code: str) -> None:
    """Nobody but the table says whether a code is retryable."""
    error = refusal(code, "why", request=7)
    assert (error.code, error.message, error.id) == (code, "why", 7)
    assert error.retryable is CODES[code].retryable
    assert error.hint == CODES[code].hint


def test_a_better_hint_replaces_the_general_one() -> None:
    """Who knows more says more."""
    assert refusal("not_found", "why", hint="look there").hint == "look there"


def test_the_set_of_codes_is_closed() -> None:
    """A code that clients do not know is a bug here."""
    with pytest.raises(KeyError):
        refusal("no_such_code", "why")
