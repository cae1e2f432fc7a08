"""What a hook is given on standard input: read within a deadline, however much it is, and made sense of."""

from __future__ import annotations

import json
import os
import re
import select
import time

TYPE_CHECKING = False  # typing's own takes 3 ms to load
if TYPE_CHECKING:
    from typing import Any

MAX_WHOLE = 8 * 1024 * 1024  # bytes that are read as a whole; of more only both ends are kept
HEAD = 1024 * 1024  # bytes of the beginning of what is longer
TAIL = 64 * 1024  # bytes of its end
CHUNK = 1024 * 1024  # bytes asked for at once
MAX_EARLY = 1024 * 1024  # bytes that are tried as a whole while standard input is still open
IDLE = 0.3  # seconds without a byte after which no more is waited for
LONGEST = 0.8  # seconds for all of it

# Compiled where they are needed, which is hardly ever: that takes longer than the rest of this module.
_PIECE = r'"(?:[^"\\]|\\.)*+"|["{}\[\],:]'
_TORN_ESCAPE = r"(?<!\\)(?:\\\\)*(\\(?:u[0-9a-fA-F]{0,3})?)\Z"
# Keys that may stand behind a long answer of a tool.
_LATE = {"tool_use_id": r'"((?:[^"\\]|\\.){1,200})"', "duration_ms": r"(\d{1,15})"}


class Given:
    """What was read.

    Attributes:
        head: The bytes; of more than `MAX_WHOLE` their beginning.
        tail: Their end, where the middle is missing.
        size: How many there were.
    """

    def __init__(self, head: bytes, tail: bytes, size: int) -> None:
        self.head = head
        self.tail = tail
        self.size = size


def read(fd: int) -> Given:
    """Read all there is, and drop the middle of what is too long.

    Ends with the input; with a whole JSON object, where a tool leaves its end open; or when the time is over.
    """
    kept = bytearray()
    tail = bytearray()
    size = 0
    end = time.monotonic() + LONGEST
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    while (left := end - time.monotonic()) > 0:
        ready = poll.poll(0)
        if not ready:
            if not tail and size <= MAX_EARLY and _parse(bytes(kept)) is not None:
                break
            if not poll.poll(min(left, IDLE) * 1000):
                break
        chunk = os.read(fd, CHUNK)
        if not chunk:
            break
        size += len(chunk)
        if size <= MAX_WHOLE:
            kept += chunk
            continue
        tail = (tail + chunk)[-TAIL:]
        del kept[HEAD:]
    return Given(bytes(kept), bytes(tail), size)


def parse(given: Given) -> dict[str, Any] | None:
    """Return the object that a hook was given; of a very long one as much as can be told.

    Returns:
        None where it is no JSON object.
    """
    if not given.tail:
        return _parse(given.head)
    head = given.head[:HEAD].decode("utf-8", "ignore")
    found = _parse(_closed(head, given.size).encode("utf-8", "replace"))
    if found is not None:
        tail = given.tail.decode("utf-8", "replace")
        for key, form in _LATE.items():
            late = re.findall(rf'(?<!\\)"{key}"\s*:\s*{form}', tail)
            if late and key not in found:
                found[key] = late[-1]
    return found


def _parse(data: bytes) -> dict[str, Any] | None:
    if not data.rstrip().endswith(b"}"):
        return None
    try:
        found = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _closed(text: str, size: int) -> str:
    """Return the beginning of a JSON object with an end: what is open is closed, what is half is left out.

    Args:
        size: Bytes that it had.
    """
    closers: list[str] = []
    sound = 0  # after so many characters all that is open could be closed
    is_value: list[bool] = []  # for each level, whether a value comes next
    for found in re.finditer(_PIECE, text, re.DOTALL):
        piece = found.group()
        if piece == '"':  # begins, and does not end
            if is_value and (is_value[-1] or closers[-1] == "]"):
                inside = re.sub(
                    _TORN_ESCAPE, lambda torn: torn[0][: -len(torn[1])], text[found.start() + 1 :]
                )
                note = f"\\n[eventd: the rest was left out; all of it had {size} bytes]"
                return text[: found.start() + 1] + inside + note + '"' + "".join(reversed(closers))
            break
        if piece in "{[":
            closers.append("}" if piece == "{" else "]")
            is_value.append(False)
            sound = found.end()
        elif piece in "}]":
            if closers:
                closers.pop()
                is_value.pop()
            sound = found.end()
        elif piece == ",":
            sound = found.start()
            if is_value:
                is_value[-1] = False
        elif piece == ":":
            if is_value:
                is_value[-1] = True
        elif is_value and (is_value[-1] or closers[-1] == "]"):
            sound = found.end()
    return text[:sound] + "".join(reversed(closers))
