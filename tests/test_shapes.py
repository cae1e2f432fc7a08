"""Secrets of a person's own: which lines of the file count, and that they are found beside the known ones."""

from pathlib import Path

import pytest

from eventd.hooks.cleaning import clean, redacted
from eventd.redaction import find, mask
from eventd.shapes import MAX_BYTES, VARIABLE, Shapes, read_shapes, shapes_file

GITHUB = "ghp_" + "a1B2" * 9


def shapes(tmp_path: Path, text: str | bytes) -> Shapes:
    file = tmp_path / "redact"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_shapes(str(file))


def masked(tmp_path: Path, lines: str, text: str) -> str:
    return mask(text, find(text, shapes(tmp_path, lines).known))


def test_what_has_the_shape_is_replaced_and_called_by_its_kind(tmp_path: Path) -> None:
    r"""All of the match, or the group that is named for it."""
    lines = "# ours\n\ncustomer-number  \\bKD-\\d{4}\\b\ndoor-code (?i)door code:? (?P<secret>\\d{4})\n"
    text = f"KD-1234 has the Door Code 9876, and {GITHUB}."
    expected = (
        "[redacted:customer-number] has the Door Code [redacted:door-code], and [redacted:github-token]."
    )
    assert masked(tmp_path, lines, text) == expected


@pytest.mark.parametrize("space", [" ", "\t", "  \t "], ids=["blank", "tab", "both"])
def test_any_white_space_parts_a_line(tmp_path: Path, space: str) -> None:
    """Also before it and behind it."""
    assert masked(tmp_path, f"  own{space}zebra \r\n", "a zebra") == "a [redacted:own]"


def test_a_group_that_has_no_part_in_a_match_hides_nothing_of_it(tmp_path: Path) -> None:
    """Then all of the match is the secret."""
    assert (
        masked(tmp_path, "own pin (?P<secret>\\d+)|zebra", "pin 12, zebra")
        == "pin [redacted:own], [redacted:own]"
    )


@pytest.mark.parametrize(
    ("shape", "text"),
    [("x{GITHUB}y", "see x{GITHUB}y."), ("B2-tail", "see {GITHUB}-tail."), ("ghp_a1", "see {GITHUB}.")],
    ids=["around", "behind", "within"],
)
def test_what_overlaps_is_one_secret(tmp_path: Path, shape: str, text: str) -> None:
    """Nothing of either is left."""
    found = masked(tmp_path, f"own {shape.format(GITHUB=GITHUB)}", text.format(GITHUB=GITHUB))
    assert found in ("see [redacted:own].", "see [redacted:github-token].")


def test_lines_are_counted(tmp_path: Path) -> None:
    """As those of the known shapes are."""
    known = shapes(tmp_path, "own zebra").known
    assert [secret.line for secret in find(f"a\r\nzebra\rb {GITHUB}\nzebra", known)] == [2, 3, 4]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("own", "missing"),
        ("own (", "missing )"),
        ("Own zebra", "no kind"),
        ("own z*", "no characters"),
        (f"{'x' * 33} zebra", "no kind"),
    ],
    ids=["kind alone", "broken", "capital", "empty", "long"],
)
def test_a_line_that_cannot_be_used_spoils_no_other(tmp_path: Path, line: str, reason: str) -> None:
    """It is told with its number."""
    found = shapes(tmp_path, f"first lion\n{line}\nlast bear\n")
    assert [kind for kind, _ in found.known] == ["first", "last"]
    (fault,) = found.faults
    assert "redact:2: " in fault
    assert reason in fault


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """Missing ones say nothing; others are told."""
    assert read_shapes(None).known == read_shapes(str(tmp_path / "none")).known == ()
    assert read_shapes(str(tmp_path / "none")).faults == ()
    assert "cannot be read" in read_shapes(str(tmp_path)).faults[0]
    assert "more than" in shapes(tmp_path, b"# x\n" * MAX_BYTES).faults[0]
    assert shapes(tmp_path, b"own \xff\xfe\n").faults == ()


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the config file, or where the variable says."""
    monkeypatch.setattr("sys.platform", "linux")
    assert shapes_file({VARIABLE: "/x/y"}) == "/x/y"
    assert shapes_file({"XDG_CONFIG_HOME": "/c"}) == "/c/eventd/redact"
    assert shapes_file({"HOME": ""}) is None


def test_hooks_look_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in texts that look like nothing else."""
    file = tmp_path / "redact"
    file.write_text("customer-number KD-\\d+\n")
    monkeypatch.setenv(VARIABLE, str(file))
    assert redacted("call KD-12 back") == "call [redacted:customer-number] back"
    assert clean({"KD-12": 1}) == {"[redacted:customer-number]": 1}
