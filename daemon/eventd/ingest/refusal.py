"""How the daemon says no: an `error` reply whose flags come from the one table of codes."""

from eventd_ipc.errors import CODES
from eventd_ipc.messages import Error


def refusal(
    code: str,
    message: str,
    *,
    hint: str = "",
    request: int | None = None,
    index: int | None = None,
    retry_after_ms: int | None = None,
) -> Error:
    """Return the reply for a code; `retryable` and, where none is given, the hint are the code's own.

    Args:
        code: One of `CODES`; another one is a bug and raises `KeyError`.
        message: What happened, for a person.
        hint: What to do about it in this very case.
        request: The refused request; None refuses the connection.
        index: The event of an emit that spoiled it, from 0.
        retry_after_ms: The client waits at least this long.
    """
    info = CODES[code]
    return Error(
        code=code,
        message=message,
        retryable=info.retryable,
        hint=hint or info.hint,
        id=request,
        index=index,
        retry_after_ms=retry_after_ms,
    )
