"""Codex's approvals are read as Codex writes them."""

import hashlib
import json
from typing import Any

import pytest

from connecting.person import Person
from eventd.connecting import claude_code as connected
from eventd.connecting.codex import EVENTS, Trust, are_off, identity, trust
from eventd.connecting.hooks import Handler, ours
from eventd.hooks import claude_code, codex, mapping


def approve(person: Person, *, skip: str = "", **changes: Any) -> dict[str, Any]:
    """Return a config.toml in which our hooks are approved, as Codex does it."""
    file = person.file("codex")
    state = {}
    for handler in ours(json.loads(file.read_text()), "codex"):
        label = "".join(f"_{c.lower()}" if c.isupper() else c for c in handler.event).lstrip("_")
        if handler.event != skip:
            note = {"trusted_hash": identity(handler), **changes}
            state[f"{file}:{label}:{handler.group}:{handler.number}"] = note
    return {"hooks": {"state": state}}


def test_the_hash_is_codexs() -> None:
    """The canonical JSON that codex-rs/config hashes (`version_for_toml`), written out by hand."""
    entry = {"type": "command", "command": "/opt/eventd hook codex", "timeout": 5}
    written = (
        '{"event_name":"session_start","hooks":[{"async":false,"command":"/opt/eventd hook codex",'
        '"timeout":5,"type":"command"}]}'
    )
    expected = f"sha256:{hashlib.sha256(written.encode()).hexdigest()}"
    assert identity(Handler("SessionStart", 0, 0, None, entry)) == expected
    assert identity(Handler("Stop", 0, 0, "ignored", entry)) == identity(Handler("Stop", 3, 1, None, entry))
    long = Handler("SessionEnd", 0, 0, None, entry | {"timeout": 60})
    assert identity(long) == identity(Handler("SessionEnd", 0, 0, None, entry | {"timeout": 3}))


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, Trust.TRUSTED),
        ({"enabled": True}, Trust.TRUSTED),
        ({"enabled": False}, Trust.DISABLED),
        ({"trusted_hash": "sha256:00"}, Trust.CHANGED),
        ({"trusted_hash": None}, Trust.UNKNOWN),
    ],
    ids=["approved", "turned on", "turned off", "another hook", "no hash"],
)
def test_what_codex_has_noted(person: Person, changes: dict[str, Any], state: Trust) -> None:
    """By the place of each hook, and what it was when it was approved."""
    person.file("codex")
    person.connect("codex")
    text = person.file("codex").read_text()
    found = trust(person.file("codex"), text, approve(person, **changes))
    assert found == dict.fromkeys(EVENTS, state)
    assert trust(person.file("codex"), text, {}) == dict.fromkeys(EVENTS, Trust.UNKNOWN)
    assert trust(person.file("codex"), text, approve(person, skip="Stop"))["Stop"] is Trust.UNKNOWN


def test_a_folder_behind_a_link(person: Person) -> None:
    """Codex names the file by where the folder really is, where CODEX_HOME says it."""
    real = person.home / "real"
    real.mkdir()
    person.file("codex").parent.rmdir()
    (person.home / ".codex").symlink_to(real)
    person.connect("codex")
    config = approve(person)
    moved = json.loads(json.dumps(config).replace(str(person.home / ".codex"), str(real)))
    text = person.file("codex").read_text()
    assert set(trust(person.file("codex"), text, moved).values()) == {Trust.TRUSTED}


def test_a_person_is_told_what_is_left_to_do(person: Person) -> None:
    """Approve, turn hooks on; and no more where both is done."""
    person.file("codex")
    config = person.home / ".codex" / "config.toml"
    config.write_text("[features]\nhooks = false\n[[hooks.Stop]]\n")
    change = person.connect("codex")
    assert any("[features]" in text for text in change.advice.todo)
    assert any("/hooks" in text for text in change.advice.todo)
    assert any("config.toml has hooks as well" in text for text in change.advice.notes)
    config.write_text("".join(_toml(approve(person))))
    assert person.connect("codex").advice.todo == []
    config.write_text("[features\n")
    assert any("cannot be read" in text for text in person.connect("codex").advice.notes)


@pytest.mark.parametrize(
    ("features", "off"),
    [({}, False), ({"hooks": False}, True), ({"codex_hooks": False}, True), ({"hooks": True}, False)],
)
def test_the_switch_of_all_hooks(features: dict[str, bool], off: bool) -> None:
    """Under its name, and the one from before."""
    assert are_off({"features": features}) is off


def _toml(config: dict[str, Any]) -> list[str]:
    state = config["hooks"]["state"]
    return [
        f'[hooks.state."{key}"]\ntrusted_hash = "{note["trusted_hash"]}"\n' for key, note in state.items()
    ]


def test_what_is_hooked_is_known_to_the_hook() -> None:
    """What we have a tool call us for becomes an event with a meaning, not just a record of a hook."""
    pairs = ((EVENTS, codex.HOOKS), (connected.EVENTS, claude_code.HOOKS))
    for hooked, known in pairs:
        assert [event for event in hooked if known.get(event, mapping.other) is mapping.other] == []
