"""From the bytes of a file to text, so that the text gives the same bytes again."""

import base64
import codecs
import re
from typing import NamedTuple

BASE64 = "base64"
"""Stands for what is no text."""
_BOMS = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""In a text of one byte a character these say that it is none."""


class Text(NamedTuple):
    """A file's content as text.

    Attributes:
        encoding: By which the text becomes the bytes: a name of Python's, or `BASE64`.
        text: With the byte order mark, where there is one.
    """

    encoding: str
    text: str


def decode(data: bytes) -> Text:
    """Return the text of some bytes."""
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return Text("utf-8", data.decode())
        except UnicodeDecodeError:
            pass
    for mark, encoding in _BOMS:
        if data.startswith(mark) and (found := _exact(data, encoding)) is not None:
            return found
    for encoding in ("cp1252", "latin-1"):
        found = _exact(data, encoding)
        if found is not None and _CONTROL.search(found.text) is None:
            return found
    return Text(BASE64, base64.b64encode(data).decode())


def encode(text: Text) -> bytes:
    """Return the bytes that a text was made of.

    Raises:
        ValueError: It was made of none, or by an encoding that is not known.
    """
    if text.encoding == BASE64:
        return base64.b64decode(text.text, validate=True)
    try:
        return text.text.encode(text.encoding)
    except LookupError as error:
        raise ValueError(f"no encoding is called {text.encoding!r}") from error


def _exact(data: bytes, encoding: str) -> Text | None:
    try:
        text = data.decode(encoding)
        return Text(encoding, text) if text.encode(encoding) == data else None
    except UnicodeError:
        return None
