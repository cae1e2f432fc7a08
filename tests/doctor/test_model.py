"""Findings: their document is stable, and nothing in it is a secret."""

import pytest

from eventd.doctor.model import Finding, Level, counts, document, unmade, worst

OK = Finding("config.loads", Level.OK, "config", "fine")
BAD = Finding("nats.connection", Level.PROBLEM, "connection", "away", "start it", route="bob")
UNMADE = unmade("disk.room", "disk", "may not look")


def test_the_document_has_the_keys_that_programs_read() -> None:
    """Every key is always there; what there is nothing to say about is null."""
    found = document([OK, BAD, UNMADE], "1.0", 7)
    assert list(found) == ["format", "version", "at", "level", "counts", "findings", "fixed"]
    assert (found["format"], found["level"]) == (1, "problem")
    assert found["counts"] == {"ok": 1, "note": 0, "warning": 0, "problem": 1, "unmade": 1}
    keys = ["check", "route", "level", "made", "title", "found", "remedy", "fix"]
    assert [list(finding) for finding in found["findings"]] == [keys] * 3
    assert found["findings"][0]["remedy"] is None
    assert found["findings"][1]["route"] == "bob"
    assert found["findings"][2]["made"] is False


def test_what_could_not_be_looked_at_is_no_trouble() -> None:
    """It is told, and does not make the exit code another."""
    assert worst([OK, UNMADE]) is Level.NOTE
    assert worst([]) is Level.OK
    assert counts([UNMADE])["note"] == 0


@pytest.mark.parametrize("text", ["nats://main:hunter2@host:4222 is away", "tls://hunter2@host said no"])
def test_credentials_in_urls_are_masked(text: str) -> None:
    """Messages of other programs quote what they were told."""
    found = Finding("a.b", Level.NOTE, "t", text, text)
    assert "hunter2" not in f"{found.found}{found.remedy}{found.document()}"
    assert "@host" in found.found
