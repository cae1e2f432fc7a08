"""What the embedded server writes arrives in our log at the right level."""

import logging

import pytest

from eventd.embedded.logs import LogLines


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ("[12] [INF] Server is ready", logging.DEBUG, "Server is ready"),
        ("[12] [WRN] careful", logging.WARNING, "careful"),
        ("[12] [ERR] broken", logging.ERROR, "broken"),
        ("[12] [FTL] gone", logging.ERROR, "gone"),
        ("[12] 2026/11/22 19:19:06.413311 [ERR] with its time", logging.ERROR, "with its time"),
        ("panic: runtime error", logging.ERROR, "panic: runtime error"),
    ],
)
def test_level_and_text(caplog: pytest.LogCaptureFixture, line: str, level: int, text: str) -> None:
    """Chatter is for debugging; what has no level is a crash."""
    caplog.set_level(logging.DEBUG)
    LogLines().take(line)
    record = caplog.records[-1]
    assert (record.levelno, record.getMessage()) == (level, f"nats-server: {text}")
    assert record.__dict__["action"] == "embedded_log"


@pytest.mark.parametrize("line", ["", "[12] [INF]", "[12] [INF] "])
def test_empty_lines_are_not_logged(caplog: pytest.LogCaptureFixture, line: str) -> None:
    """Its banner has some."""
    caplog.set_level(logging.DEBUG)
    LogLines().take(line)
    assert caplog.records == []


def test_the_last_problem_is_remembered() -> None:
    """It explains an exit; chatter after it does not hide it, and a stack trace not the panic itself."""
    log = LogLines()
    log.take("[1] [ERR] first")
    log.take("[1] [FTL] address in use")
    log.take("[1] [INF] bye")
    assert log.last_problem == "address in use"
    crash = LogLines()
    for line in ("panic: oh", "", "goroutine 1 [running]:"):
        crash.take(line)
    assert crash.last_problem == "panic: oh"


@pytest.mark.parametrize(
    ("line", "stalled"),
    [
        ("[1] [ERR] JetStream file resource limits exceeded for server", True),
        ("[1] [ERR] JetStream resource limits exceeded for server", True),
        ("[1] [ERR] Filestore [s] Critical write error: write 4.blk: no space left on device", True),
        ("[1] [ERR] JetStream stream '$G > s' critical write error: input/output error", True),
        ("[1] [ERR] JetStream out of resources, will be DISABLED", True),
        ("[1] [ERR] 127.0.0.1:5 - cid:7 - authentication error", False),
        ("[1] [INF] no space left on device", False),
    ],
)
def test_the_end_of_storing_is_recognised(line: str, stalled: bool) -> None:
    """Only errors that nats-server does not recover from by itself count."""
    assert LogLines().take(line) is stalled
