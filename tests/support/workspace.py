"""Workspaces as people have them, and the oracle: what the events of a file say must be the file."""

import base64
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SESSION_NOTE = """\
# Session: 2026-04-25 15:44:11 UTC

- **Session Key**: agent:main:telegram:42
- **Session ID**: 0198c0de-1111-7000-8000-000000000001
- **Source**: telegram

## Conversation Summary
user: where is the quokka
assistant: in the garden
"""
ITEMS = [
    {
        "id": "jane-doe-001",
        "fact": "Jane works at Initech",
        "category": "relationship",
        "timestamp": "2026-01-05",
        "source": "2026-01-05",
        "status": "superseded",
        "supersededBy": "jane-doe-002",
    },
    {
        "id": "jane-doe-002",
        "fact": "Jane works at Globex",
        "category": "relationship",
        "timestamp": "2026-03-05T10:30:00Z",
        "source": "conversation",
        "status": "active",
        "supersededBy": None,
        "relatedEntities": ["companies/globex"],
        "lastAccessed": "2026-03-06",
        "accessCount": 3,
        "confidence": 0.9,
        "tags": ["work"],
    },
]
GITHUB = "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789"

SAMPLE: dict[str, bytes] = {
    "MEMORY.md": (
        b"# Long-term memory\n\nThe person is called Robin.\n\n## Projects\nApollo is a rocket.\n"
        b"```\n## no heading\n```\n## Preferences\nTea, no coffee.\r\n## Preferences\nAgain."
    ),
    "memory/2026-04-24.md": b"# 2026-04-24\n\n## Morning\nPlanted a baobab.\n\n## Evening\nRead.\n",
    "memory/2026-04-25-1544.md": SESSION_NOTE.encode(),
    "memory/2026-04-26-garden-plan.md": b"Roses and a hedge.\n",
    "memory/ideas.md": b"---\ndate: 2026-02-03\ntitle: Ideas\n---\nA zeppelin.\n",
    "memory/imports/codex/notes.md": "\ufeffImported: Zürich\n".encode(),
    "memory/imports/hermes/old.md": "caf\xe9 und \x80\n".encode("latin-1"),
    "memory/wide.md": "\ufeff# Weit\n\n## Übung\nText".encode("utf-16-le"),
    "memory/sp ace/émoji 🚀\nline.md": b"odd name\n",
    "memory/blank.md": b"\n\n",
    "memory/noise.md": bytes(range(256)),
    "memory/nul.md": b"before\0after \x1b[31m\n",
    "life/index.md": b"# Index\n- [[people/jane-doe]]\n",
    "life/areas/people/jane-doe/summary.md": b"# Jane Doe\n\nShe leads Apollo.\n\n## Contact\nBy pigeon.\n",
    "life/areas/people/jane-doe/items.json": json.dumps(ITEMS, indent=2).encode(),
    "life/areas/companies/globex/summary.md": b"# Globex\nMakes domes.\n",
    "life/areas/companies/globex/facts.jsonl": (
        b'{"id": "fact-001", "content": "Globex has 90 people", "ts": "2026-01-01T00:00:00Z"}\n'
        b'{"id": "fact-002", "content": "Globex has 120 people", "ts": "2026-02-01T00:00:00Z", '
        b'"supersedes": "fact-001"}\n'
    ),
    "life/areas/projects/apollo/items.yaml": (
        b"- id: fact-001\n  fact: Apollo flies in May\n  created: 2026-02-02\n  status: active\n"
    ),
    "life/projects/boat/summary.md": b"# Boat\nA small one.\n",
    "life/projects/boat/facts.json": b'{"facts": [{"fact": "The boat is blue", "color": {"hex": "#00f"}}]}',
    "life/resources/recipes/summary.md": b"# Recipes\n",
    "life/archives/attic/facts.json": (
        b'{"id": "attic-001", "fact": "The attic leaks", "created": "2025-11-11"}'
    ),
    "life/areas/people/entities.json": b'{"people": ["jane-doe"]}',
}
"""Files of every sort, with what they hold."""


def write(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    """Write files below a folder, which is made; those of `SAMPLE` where none are given."""
    for path, data in (SAMPLE if files is None else files).items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder that hold anything."""
    found: dict[str, bytes] = {}
    for root, _, names in os.walk(folder):
        for name in names:
            place = Path(root, name)
            if place.is_file() and not place.is_symlink() and (data := place.read_bytes()):
                found[str(place.relative_to(folder))] = data
    return found


def rebuilt(bodies: Iterable[bytes]) -> dict[str, bytes]:
    """Return the files that stored events say, each as its newest lead has it: the oracle."""
    events = [json.loads(body) for body in bodies]
    by_id = {event["id"]: event for event in events}
    replaced = {old for event in events for old in event["payload"]["data"].get("supersedes", ())}
    files: dict[str, bytes] = {}
    for event in events:
        data = event["payload"]["data"]
        if "sections" not in data or event["id"] in replaced:
            continue
        parts = [data, *(by_id[name]["payload"]["data"] for name in data["sections"])]
        text = "".join(part.get("text", part.get("raw")) for part in parts)
        path = base64.b64decode(data["pathBytes"]) if "pathBytes" in data else data["path"].encode()
        assert os.fsdecode(path) not in files, f"two newest leads of {path!r}"
        encoding = data["encoding"]
        files[os.fsdecode(path)] = base64.b64decode(text) if encoding == "base64" else text.encode(encoding)
    return files


def of_type(bodies: Iterable[bytes], *types: str) -> list[dict[str, Any]]:
    """Return the events of some types."""
    return [event for body in bodies if (event := json.loads(body))["type"] in types]
