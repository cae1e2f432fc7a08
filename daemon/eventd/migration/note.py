"""From one file to the drafts of its events: a lead and sections, or a list of facts."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from eventd_ipc.strict import session_fault

from .. import redaction
from ..events.types import SECTION
from ..shapes import own_shapes
from . import dating, facts, markdown
from .encoding import BASE64, Text, decode, encode
from .events import Draft, digest, path_data
from .factfile import Damage, parse
from .files import Content
from .kinds import name_of
from .walk import Found, shown

PART = 64 * 1024  # UTF-8 bytes of one event's text; search looks at 256 Ki characters, servers take 1 MiB
MAX_SECTIONS = 2000  # of one file; with more, neighbours share an event so that the lead can name all of them
JSON_GROWTH = 6  # times its bytes that a text takes as JSON at the most: each control character


class _Chunk(NamedTuple):
    """What one event holds; `part` counts from 1 where a piece is cut into several, else it is 0."""

    heading: str
    part: int
    text: str


@dataclass(slots=True)
class Note:
    """What becomes of a file.

    Attributes:
        sections: The drafts of its sections, in their order.
        lead: Its first event, without the ids of the sections, which are not known yet.
        facts: The drafts of the facts that it lists.
        secrets: Where something in it looks like a secret.
    """

    path: bytes
    size: int
    lead: Draft
    sections: list[Draft]
    facts: list[Draft] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    secrets: list[redaction.Secret] = field(default_factory=list)


def read(found: Found, content: Content, now: int, *, max_event: int, redact: bool = False) -> Note:
    """Return what becomes of a file's content.

    Args:
        now: Unix ms.
        max_event: Bytes of an event's JSON that are taken.
        redact: Put markers in place of what looks like a secret.
    """
    text = decode(content.data)
    own = own_shapes().known
    secrets = redaction.find(text.text, own) if text.encoding != BASE64 else []
    if secrets and redact:
        text = Text(text.encoding, redaction.mask(text.text, secrets))
    name = shown(found.path).rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    is_note = text.encoding != BASE64 and not found.kind.data
    front = markdown.front_matter(text.text) if is_note else {}
    title = markdown.title(text.text) if is_note else ""
    dated = dating.date(stem, front, title, content.modified, now)
    about = markdown.session(text.text) if is_note else {}
    chunks = _chunks(text, is_note, min(PART, max(1024, max_event // (2 * JSON_GROWTH))))

    key = "text" if is_note else "raw"
    place = path_data(found.path)
    common: dict[str, Any] = {"entity": found.kind.entity} if found.kind.entity else {}
    if found.kind.entity:
        common["name"] = name_of(found.kind.entity)
    session = about.get("Session Key")
    if session is not None and session_fault(session) is not None:
        session = None

    sections: list[Draft] = []
    for chunk in chunks[1:]:
        part = {"part": chunk.part} if chunk.part else {}
        sections.append(
            Draft(
                "section",
                SECTION,
                f"{chunk.heading}\n{chunk.part or 1}",
                digest(chunk.heading, chunk.part, chunk.text),
                _section_time(chunk.heading, dated.time, now) if is_note else dated.time,
                {**place, **common, "heading": chunk.heading, **part, key: chunk.text},
                session,
            )
        )
    data = content.data if not (secrets and redact) else encode(text)
    lead = Draft(
        "lead",
        found.kind.type,
        "",
        "",
        dated.time,
        {
            **place,
            **common,
            "title": title or front.get("title", "") or stem,
            key: chunks[0].text,
            "date": dated.time,
            "dateSource": dated.source,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "encoding": text.encoding,
            **_about_session(about),
        },
        session,
    )
    contents = [draft.content for draft in sections]
    lead.content = digest(chunks[0].text, lead.data["sha256"], text.encoding, contents)
    lead.said = digest(chunks[0].text) if chunks[0].text.strip() else lead.content
    note = Note(found.path, len(content.data), lead, sections, secrets=secrets)
    if found.kind.has_facts and text.encoding != BASE64:
        listed = parse(text.text, name)
        note.facts = facts.drafts(listed.items, found, dated, now, max_event)
        note.damage = listed.damage
    return note


def _section_time(heading: str, time: int, now: int) -> int:
    return found if (found := dating.in_text(heading, now)) is not None else time


def _about_session(about: dict[str, str]) -> dict[str, str]:
    names = {"Session Key": "sessionKey", "Session ID": "sessionId", "Source": "source"}
    return {names[key]: value for key, value in about.items()}


def _chunks(text: Text, is_note: bool, most: int) -> list[_Chunk]:
    """Cut a file into what one event holds each; the first is the lead's, and may be empty."""
    pieces = markdown.pieces(text.text) if is_note else [markdown.Piece("", text.text)]
    chunks: list[_Chunk] = []
    for piece in pieces if len(pieces) <= MAX_SECTIONS else _together(pieces, most):
        parts = _parts(piece.text, most)
        chunks += (_Chunk(piece.heading, n if len(parts) > 1 else 0, part) for n, part in enumerate(parts, 1))
    return chunks


def _together(pieces: list[markdown.Piece], most: int) -> list[markdown.Piece]:
    """Put neighbours together as long as they have room in one event."""
    held: list[markdown.Piece] = [pieces[0]]
    heading, texts, size = "", list[str](), 0
    for piece in pieces[1:]:
        length = len(piece.text.encode())
        if texts and size + length > most:
            held.append(markdown.Piece(heading, "".join(texts)))
            texts, size = [], 0
        heading = heading if texts else piece.heading
        texts.append(piece.text)
        size += length
    return [*held, markdown.Piece(heading, "".join(texts))]


def _parts(text: str, most: int) -> list[str]:
    """Cut a text that is too large for one event, behind the end of a line where there is one."""
    if len(text) * 4 <= most or len(text.encode()) <= most:
        return [text]
    parts: list[str] = []
    at = 0
    while at < len(text):
        piece = text[at : at + most].encode()
        if len(piece) > most:
            piece = piece[:most]
        end = at + len(piece.decode(errors="ignore"))
        if end < len(text):
            line = text.rfind("\n", at, end) + 1
            if line - at > (end - at) // 2:
                end = line
            elif text[end - 1] == "\r" and text[end] == "\n":
                end -= 1
        parts.append(text[at:end])
        at = end
    return parts
