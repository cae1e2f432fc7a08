"""Log lines: what they hold, for whom, what they never hold, and what a flood becomes."""

import io
import json
import logging
import os
import pty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventd.logs import (
    FLOOD,
    MANY,
    MAX_MESSAGES,
    WINDOW,
    FloodHandler,
    HumanFormatter,
    JournalFormatter,
    JsonFormatter,
    setup_logging,
)
from eventd.secret import redact

Log = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """The setup of the whole process, as it was."""
    root, nats = logging.getLogger(), logging.getLogger("nats")
    before = root.level, nats.level, logging.getLogger("watchfiles").level
    yield
    setup_logging(stream=io.StringIO())
    for handler in [handler for handler in root.handlers if isinstance(handler, FloodHandler)]:
        root.removeHandler(handler)
    logging.captureWarnings(capture=False)
    root.setLevel(before[0])
    nats.setLevel(before[1])
    logging.getLogger("watchfiles").setLevel(before[2])


def record(message: str, level: int = logging.INFO, at: float = 0.0, **fields: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": message, "levelno": level, "levelname": logging.getLevelName(level)})
    made.name = "eventd.test"
    made.created = at
    vars(made).update(fields)
    return made


def with_traceback() -> logging.LogRecord:
    try:
        raise RuntimeError("broken\x1b[31m nats://u:hunter2@h")
    except RuntimeError as error:
        return record("Failed", logging.ERROR, exc_info=(type(error), error, error.__traceback__))


def test_a_human_line_has_message_action_and_fields() -> None:
    """Values with spaces are in quotes, so that fields can be told apart."""
    line = HumanFormatter(clock=False).format(
        record("Stored it", action="stored", seq=5, why='a "b" c', none="")
    )
    assert line == r'Stored it  action=stored seq=5 why="a \"b\" c" none=""'


def test_a_human_line_begins_with_the_time_and_the_level() -> None:
    """On a terminal nothing else says when."""
    line = HumanFormatter().format(record("Careful", logging.WARNING))
    at, level, message, *_ = line.split()
    assert (at.count(":"), level, message) == (2, "WARNING", "Careful")


def test_a_json_line_is_one_object() -> None:
    """Numbers stay numbers; what JSON does not know becomes text; nothing overwrites the standard keys."""
    fields: dict[str, Any] = {
        "action": "stored",
        "seq": 5,
        "path": Path("/x"),
        "logger": "fake",
        "at_all": None,
    }
    line = JsonFormatter().format(record("Stored %s", at=1.5, args=("it",), **fields))
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:01.500Z",
        "level": "info",
        "logger": "eventd.test",
        "message": "Stored it",
        "action": "stored",
        "seq": 5,
        "path": "/x",
        "at_all": None,
    }


def test_a_record_without_an_action_has_its_loggers_name() -> None:
    """Every line carries the key, also those of libraries."""
    assert json.loads(JsonFormatter().format(record("x")))["action"] == "eventd.test"


@pytest.mark.parametrize("formatter", [HumanFormatter(), JsonFormatter(), JournalFormatter(HumanFormatter())])
def test_credentials_in_urls_are_masked_wherever_they_stand(formatter: logging.Formatter) -> None:
    """In message, arguments, fields and tracebacks: the second belt."""
    lines = [
        formatter.format(record("to nats://u:hunter2@h:1,tls://hunter2@i")),
        formatter.format(record("to %s", args=("nats://u:hunter2@h:1",))),
        formatter.format(record("x", url="nats://u:hunter2@h:1")),
        formatter.format(record("x", urls=["nats://u:hunter2@h:1"])),
        formatter.format(with_traceback()),
    ]
    assert all("hunter2" not in line and "://********@" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nats://h:4222 by a@b", "nats://h:4222 by a@b"),
        ("NATS://u:p/a#b@h", "NATS://********@h"),
        ('nats://u:p"q@h', "nats://********@h"),
        ("a@b", "a@b"),
    ],
)
def test_only_what_stands_before_the_at_of_a_url_is_masked(text: str, shown: str) -> None:
    """Also passwords that should have been percent-encoded."""
    assert redact(text) == shown


def test_what_others_sent_cannot_forge_lines() -> None:
    """An agent's name with a line break or an escape sequence shows as what it is."""
    line = HumanFormatter(clock=False).format(record("Hello a\nERROR x\x1b[31m", agent="a\r\n\x9b"))
    assert line == r"Hello a\nERROR x\x1b[31m  action=eventd.test agent=a\r\n\x9b"


def test_a_traceback_keeps_its_lines_and_nothing_else() -> None:
    """It is for people; but its message may come from others."""
    line = HumanFormatter().format(with_traceback())
    assert len(line.splitlines()) > 3
    assert r"RuntimeError: broken\x1b[31m" in line


@pytest.mark.parametrize(
    ("level", "number"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_the_journal_gets_a_priority_in_each_line(level: int, number: int) -> None:
    """systemd takes every line for a record of its own."""
    made = with_traceback()
    made.levelno = level
    lines = JournalFormatter(HumanFormatter()).format(made).split("\n")
    assert len(lines) > 3
    assert all(line.startswith(f"<{number}>") for line in lines)


@pytest.fixture
def log_through() -> Iterator[Log]:
    """Write (message, time) pairs through a FloodHandler; returns what came out."""
    stream = io.StringIO()
    handler = FloodHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))

    def log(*records: logging.LogRecord, close: bool = False) -> list[str]:
        for one in records:
            handler.handle(one)
        if close:
            handler.close()
        return stream.getvalue().splitlines()

    yield log
    handler.close()


def test_a_flood_becomes_one_line_with_a_count(log_through: Log) -> None:
    """The first lines are written; the rest is counted when the window is over."""
    flood = [record("again", at=number / 100) for number in range(100)]
    assert log_through(*flood) == ["again"] * FLOOD
    assert log_through(record("other", at=WINDOW)) == [
        *["again"] * FLOOD,
        f"again (repeated {100 - FLOOD} times)",
        "other",
    ]
    assert log_through(record("again", at=WINDOW))[-1] == "again"


def test_machines_get_the_count_as_a_number() -> None:
    """With the action and the fields of the last one."""
    stream = io.StringIO()
    setup_logging("info", "json", stream=stream, environ={})
    for number in range(FLOOD + 7):
        logging.getLogger("eventd.test").info("again", extra={"action": "did_it", "number": number})
    setup_logging(stream=io.StringIO())
    last = json.loads(stream.getvalue().splitlines()[-1])
    assert (last["action"], last["repeated"], last["number"]) == ("did_it", 7, FLOOD + 6)


def test_what_was_left_out_is_told_when_logging_ends(log_through: Log) -> None:
    """Also where nothing follows the flood."""
    log_through(*[record("again")] * (FLOOD + 3))
    assert log_through(close=True)[-1] == "again (repeated 3 times)"


def test_records_that_differ_are_no_flood(log_through: Log) -> None:
    """Other messages, actions, levels or times are news."""
    many = [record(f"message {number}") for number in range(20)]
    actions = [record("same", action=f"action {number}") for number in range(20)]
    levels = [record("level", level) for level in range(1, 20)]
    slow = [record("slow", at=number * WINDOW) for number in range(20)]
    assert len(log_through(*many, *actions, *levels, *slow)) == 79


def test_a_flood_of_different_messages_about_one_action_ends_too(log_through: Log) -> None:
    """Who may choose what is in them, say as a name, does not fill the disk. Others are heard meanwhile."""
    flood = [record(f"{number} is denied", action="access_denied", at=1.0) for number in range(5 * MANY)]
    assert len(log_through(*flood)) == MANY
    assert log_through(record("other", at=1.0))[-1] == "other"
    assert log_through(record("next is denied", action="access_denied", at=1.0 + WINDOW))[-2:] == [
        f"{5 * MANY - 1} is denied (and {4 * MANY} more of this kind)",
        "next is denied",
    ]


def test_a_clock_that_was_set_back_does_not_silence(log_through: Log) -> None:
    """Else nothing would be written until it has caught up."""
    log_through(*[record("again", at=1000.0)] * 50)
    assert log_through(record("again", at=5.0))[-2:] == [f"again (repeated {50 - FLOOD} times)", "again"]


def test_few_messages_are_remembered(log_through: Log) -> None:
    """Memory is bounded; the count of a message that is forgotten is told first."""
    log_through(*[record("again")] * (FLOOD + 1))
    lines = log_through(*(record(f"other {number}") for number in range(MAX_MESSAGES)))
    assert lines.count("again (repeated 1 times)") == 1


def test_a_record_that_cannot_be_formatted_disturbs_nobody(log_through: Log) -> None:
    """Logging never breaks what is logged."""
    assert log_through(record("%d", args=("x",)), record("next")) == ["next"]


def test_a_stream_that_is_gone_disturbs_nobody() -> None:
    """A terminal that was closed must not end the daemon."""
    stream = io.StringIO()
    handler = FloodHandler(stream)
    stream.close()
    handler.handle(record("x"))
    handler.close()


def test_setup_writes_what_the_level_allows() -> None:
    """And a second setup replaces the first."""
    first, second = io.StringIO(), io.StringIO()
    setup_logging("info", "human", stream=first)
    setup_logging("warning", "human", stream=second)
    logger = logging.getLogger("eventd.test")
    logger.info("quiet")
    logger.warning("loud")
    assert first.getvalue() == ""
    assert "loud" in second.getvalue()
    assert "quiet" not in second.getvalue()


def test_setup_tames_the_client_library() -> None:
    """nats-py logs a traceback for each attempt; what it knows reaches us another way."""
    stream = io.StringIO()
    setup_logging("info", stream=stream)
    logging.getLogger("nats.aio.client").error("nats: encountered error")
    assert stream.getvalue() == ""
    setup_logging("debug", stream=stream)
    logging.getLogger("nats.aio.client").error("nats: encountered error")
    assert "nats: encountered error" in stream.getvalue()


@pytest.mark.parametrize(
    ("format", "in_journal", "begins"),
    [
        ("auto", True, "<4>Stored"),
        ("json", True, '<4>{"time"'),
        ("json", False, '{"time"'),
    ],
)
def test_setup_knows_the_journal(format: str, in_journal: bool, begins: str, tmp_path: Path) -> None:  # noqa: A002
    """`JOURNAL_STREAM` is inherited by everything below; only the stream it names is the journal."""
    path = tmp_path / "journal"
    with path.open("w+") as stream:
        found = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + (not in_journal)}"}
        setup_logging("info", format, stream=stream, environ=environ)
        logging.getLogger("eventd.test").warning("Stored")
    assert path.read_text().startswith(begins)


def test_human_is_never_marked_for_the_journal(tmp_path: Path) -> None:
    """For those who look at the stream by other means."""
    path = tmp_path / "journal"
    with path.open("w+") as stream:
        found = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        setup_logging("info", "human", stream=stream, environ=environ)
        logging.getLogger("eventd.test").warning("Stored")
    assert "<4>" not in path.read_text()


@pytest.mark.parametrize(
    ("environ", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_gets_colours(environ: dict[str, str], coloured: bool) -> None:
    """Unless the person does not want them."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        setup_logging(stream=stream, environ=environ)
        logging.getLogger("eventd.test").warning("Careful")
        shown = os.read(master, 1000)
    os.close(master)
    assert (b"\x1b[33m" in shown) == coloured
    assert b"Careful" in shown


def test_a_pipe_gets_no_colours() -> None:
    """Escape sequences in a file help nobody."""
    stream = io.StringIO()
    setup_logging(stream=stream, environ={})
    logging.getLogger("eventd.test").warning("Careful")
    assert "\x1b" not in stream.getvalue()
