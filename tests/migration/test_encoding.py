"""Whatever is in a file becomes text that gives the same bytes again."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd.migration.encoding import BASE64, Text, decode, encode


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"", "utf-8"),
        ("Zürich 🚀".encode(), "utf-8"),
        ("\ufeffmarked".encode(), "utf-8"),
        (b"a\0b", "utf-8"),
        ("\ufeffwide ü".encode("utf-16-le"), "utf-16-le"),
        ("\ufeffwide ü".encode("utf-16-be"), "utf-16-be"),
        (b"\xff\xfeodd", "cp1252"),
        (b"\xff\xfe\x00\xd8", BASE64),  # half a character
        (b"caf\xe9 \x80", "cp1252"),
        (b"caf\xe9 \x81", "latin-1"),
        (b"\xed\xa0\x80", "cp1252"),  # half a character in UTF-8
        (bytes(range(256)), BASE64),
    ],
)
def test_encodings(data: bytes, encoding: str) -> None:
    """Each is recognised, and JSON holds it."""
    found = decode(data)
    assert found.encoding == encoding
    assert msgspec.json.decode(msgspec.json.encode(found.text)) == found.text
    assert encode(found) == data


@given(st.binary() | st.binary().map(lambda data: b"\xff\xfe" + data) | st.text().map(str.encode))
def test_any_bytes_come_back(data: bytes) -> None:
    """Also those that nobody thought of."""
    assert encode(decode(data)) == data


@pytest.mark.parametrize("text", [Text("klingon", "x"), Text("latin-1", "🚀"), Text(BASE64, "*")])
def test_what_was_never_decoded_is_refused(text: Text) -> None:
    """With one kind of error."""
    with pytest.raises(ValueError, match=r"."):
        encode(text)
