"""A soak of a few seconds: a sound daemon passes, and one that leaks and forgets does not."""

import sys
from pathlib import Path

import pytest

from soak.__main__ import report
from soak.course import EMITTERS, SPEAKERS, run
from soak.gauges import GAUGES, verdicts

SECONDS = 4.0

# Keeps a descriptor every now and then, and acknowledges one emit of 50 without storing it.
LEAKS_AND_FORGETS = """
import os, threading, time
from eventd.outbox.outbox import Outbox
kept = []
def leak():
    while True:
        kept.append(os.open("/dev/null", os.O_RDONLY))
        time.sleep(0.02)
threading.Thread(target=leak, daemon=True).start()
submit, count = Outbox.submit, 0
def forgetful(self, submissions, done):
    global count
    count += 1
    if count % 50:
        submit(self, submissions, done)
    else:
        done(submissions)
Outbox.submit = forgetful
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")


def test_a_sound_daemon_passes(short_tmp: Path) -> None:
    """Everybody had a turn, something happened, every gauge was read, and nothing speaks against it."""
    outcome = run(SECONDS, short_tmp, seed=7)
    found = verdicts(outcome.samples)
    assert not outcome.problems, report(outcome, found)
    assert not [verdict for verdict in found if verdict.problem], report(outcome, found)
    assert outcome.acked > len((*EMITTERS, *SPEAKERS))
    assert outcome.happened
    assert all(outcome.turns.values()), outcome.turns
    if sys.platform == "linux":
        assert [verdict.gauge for verdict in found] == list(GAUGES)
    assert "each acknowledged event is stored once" in report(outcome, found)


@linux
def test_what_leaks_or_forgets_is_found(short_tmp: Path) -> None:
    """A descriptor that is kept shows as a slope, and at rest; what was acknowledged is missed."""
    outcome = run(SECONDS, short_tmp, seed=7, mutation=LEAKS_AND_FORGETS)
    found = verdicts(outcome.samples)
    assert {verdict.gauge.key for verdict in found if verdict.problem} == {"fds"}, report(outcome, found)
    problems = " ".join(outcome.problems)
    assert "missing" in problems
    assert "more fds at rest than before" in problems
    assert "GROWS" in report(outcome, found)
    assert "WRONG: " in report(outcome, found)
