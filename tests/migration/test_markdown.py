"""Markdown is cut at its sections without losing a byte; what a note says about itself is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.migration import markdown
from eventd.migration.markdown import front_matter, pieces, session, title
from support.workspace import SESSION_NOTE


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("", [""]),
        ("only text\n", [""]),
        ("## A\n## B\n", ["", "A", "B"]),
        ("x\r\n## A b ##\r\ny", ["", "A b"]),
        ("# T\n### deeper\n##no heading\n    ## code\n", [""]),
        ("```\n## a\n```\n## B\n~~~ x\n## c\n```\n~~~\n## D", ["", "B", "D"]),
        ("````\n```\n## a\n````\n## B", ["", "B"]),
        ("``` a`b\n## A\n", ["", "A"]),
        ("```\n## never closed\n", [""]),
        ("##\n## A\n", ["", "", "A"]),
        ("   ## indented\n", ["", "indented"]),
    ],
)
def test_sections(text: str, headings: list[str]) -> None:
    """They begin at `## `, not at other headings, and not in code."""
    found = pieces(text)
    assert [piece.heading for piece in found] == headings
    assert "".join(piece.text for piece in found) == text


_parts = st.sampled_from(
    ["## a", "# b", "```", "~~~~", "\n", "\r\n", "\r", " ", "\ufeff", "text", "\0", "ü🚀"]
)


@given(st.lists(_parts).map("".join) | st.text())
def test_the_pieces_are_the_text(text: str) -> None:
    """Of any text."""
    assert "".join(piece.text for piece in pieces(text)) == text


def test_a_long_heading_is_a_short_name() -> None:
    """The text has all of it."""
    [_, section] = pieces("## " + "x" * 5000)
    assert len(section.heading) == markdown.MAX_HEADING
    assert len(section.text) == 5003


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# A title #\n", "A title"),
        ("# \t Two  words \t##  \r\n", "Two  words"),
        ("# #\n", ""),
        ("\ufeffx\n# Two\n# Three\n", "Two"),
        ("## no\n", ""),
        ("", ""),
    ],
)
def test_title(text: str, found: str) -> None:
    """The first heading of the first level."""
    assert title(text) == found


def test_front_matter() -> None:
    """Simple values; without it there are none."""
    text = '---\nDate: 2026-01-02\ntitle: "A: b"\ntags:\n  - x\n---\nbody: no\n'
    assert front_matter(text) == {"date": "2026-01-02", "title": "A: b", "tags": ""}
    assert front_matter("a: b\n---\n") == {}


@pytest.mark.parametrize("end", ["x\n", "\rx\n"])
@pytest.mark.parametrize("begin", ["# a", "---\na:", "# Session: x\n- **Source**: a", "## ", "```"])
def test_long_lines_are_read_in_no_time(begin: str, end: str) -> None:
    """Each shape is tried once at each place: else such a line takes longer than anybody waits."""
    text = begin + begin[-1] * 30_000 + " " * 30_000 + end + "---\n"
    for read in (front_matter, title, session):
        read(text)
    assert "".join(piece.text for piece in pieces(text)) == text


def test_session_note() -> None:
    """As the hook of OpenClaw writes it; the same lines in another note are text."""
    assert session(SESSION_NOTE) == {
        "Session Key": "agent:main:telegram:42",
        "Session ID": "0198c0de-1111-7000-8000-000000000001",
        "Source": "telegram",
    }
    assert session(SESSION_NOTE.replace("# Session:", "# Meeting:")) == {}
