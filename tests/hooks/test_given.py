"""The input of a hook: as a whole, too long, torn, and with an end that never comes."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from eventd.hooks.given import HEAD, MAX_WHOLE, Given, parse, read

PipeEnds = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[PipeEnds]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):  # the test may have closed it
            os.close(end)


def send(fd: int, data: bytes, *, close: bool = True) -> threading.Thread:
    def run() -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if close:
            os.close(fd)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_all_of_it_is_read(pipe: PipeEnds) -> None:
    data = json.dumps({"a": "x" * 300_000}).encode()
    sender = send(pipe[1], data)
    found = read(pipe[0])
    sender.join()
    assert found.head == data
    assert found.size == len(data)
    assert parse(found) == json.loads(data)


def test_an_open_end_is_not_waited_for(pipe: PipeEnds) -> None:
    """A tool that does not close its end has said all there is with the last brace."""
    sender = send(pipe[1], b'{"a": {"b": 1}}\n', close=False)
    assert parse(read(pipe[0])) == {"a": {"b": 1}}
    sender.join()


def test_silence_ends_in_time(pipe: PipeEnds) -> None:
    assert parse(read(pipe[0])) is None


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[1]", b"null", b'{"a": 1', b"{'a': 1}", b"\xff\xfe{}", b'{"a":' * 100_000 + b"}"],
    ids=["nothing", "torn", "list", "null", "no end", "no JSON", "no UTF-8", "deep"],
)
def test_what_is_no_object_is_nothing(data: bytes) -> None:
    assert parse(Given(data, b"", len(data))) is None


def test_of_what_is_too_long_both_ends_are_told(pipe: PipeEnds) -> None:
    """The answer of a tool is cut; what stands before it and behind it is there."""
    answer = {"stdout": 'line "one"\n' * 2_000_000, "stderr": "", "deep": [{"tool_use_id": "not this one"}]}
    whole = {"session_id": "s", "tool_name": "Bash", "tool_response": answer, "tool_use_id": "toolu_1"}
    data = json.dumps(whole).encode()
    assert len(data) > MAX_WHOLE
    sender = send(pipe[1], data)
    found = read(pipe[0])
    sender.join()
    assert len(found.head) <= HEAD
    told = parse(found)
    assert told is not None
    assert told["session_id"] == "s"
    assert told["tool_use_id"] == "toolu_1"
    assert told["tool_response"]["stdout"].startswith('line "one"\nline "one"\n')
    assert f"all of it had {len(data)} bytes" in told["tool_response"]["stdout"]


WHOLE = json.dumps(
    {"a": [1, "two", {"x\\": 'y"z\\u00e9é'}], "b": {"c": None, "d": True}, "e": "f" * 40, "g": -1.5e3}
)


@pytest.mark.parametrize("cut", range(1, len(WHOLE), 3))
def test_wherever_it_is_cut_the_beginning_is_told(cut: int) -> None:
    """Whatever is open is closed; nothing is made up."""
    found = parse(Given(WHOLE[:cut].encode(), b"tail", 99))
    assert found is not None
    whole = json.loads(WHOLE)
    assert set(found) <= set(whole)
    assert all(found[key] == whole[key] for key in list(found)[:-1])
