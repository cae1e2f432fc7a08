"""What commands print: data on standard output, everything said to a person on standard error."""

import contextlib
import os
import sys
from typing import Any, TextIO

import msgspec

_JOINERS = "\u200c\u200d"  # invisible, but parts of words and emoji
_encode = msgspec.json.Encoder().encode


class OutputClosed(Exception):
    """What read our output has gone away; the rest of it is for nobody."""


def print_line(text: str) -> None:
    """Write a line of data at once.

    Raises:
        OutputClosed: Nobody reads it.
    """
    print_bytes(text.encode("utf-8", "surrogateescape") + b"\n")


def print_json(value: Any) -> None:
    """Write a value as one line of JSON."""
    print_bytes(_encode(value) + b"\n")


def print_bytes(data: bytes) -> None:
    """Write bytes of data at once.

    Raises:
        OutputClosed: Nobody reads them.
    """
    if sys.stdout is None:  # as `>&-` leaves it
        return
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        discard_output()
        raise OutputClosed from error


def discard_output() -> None:
    """Let what is still written to standard output, by the interpreter at its end too, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def notice(text: str) -> None:
    """Tell a person something. Where nobody listens the command goes on."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - the one place


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at a stream."""
    return stream is not None and stream.isatty()


def wants_colour(stream: TextIO | None) -> bool:
    """Whether a stream shows colours, and the person wants any."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def neutral(text: str) -> str:
    """Return a text on one line that cannot steer the terminal: what others stored may try to.

    White space becomes single spaces.
    """
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Return a text with its characters that do not print, line ends too, shown as their escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINERS else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, width: int) -> str:
    """Cut a text to a number of characters; an ellipsis says that it was."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
