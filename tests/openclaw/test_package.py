"""What lies in the plugin's folder is what OpenClaw expects there, and what the rest of eventd says."""

import json
import subprocess
from typing import Any

import pytest

import eventd
from eventd_ipc.errors import CODES, ClientAction

from .host import PLUGIN

MANIFEST = json.loads((PLUGIN / "openclaw.plugin.json").read_text(encoding="utf-8"))
PACKAGE = json.loads((PLUGIN / "package.json").read_text(encoding="utf-8"))


def evaluate(node: str, script: str, given: object = None) -> Any:
    """Return what a script that imports from the plugin's `lib` prints as JSON."""
    done = subprocess.run(
        [node, "--input-type=module", "-e", script],
        cwd=PLUGIN,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def test_version_is_eventd_s_own() -> None:
    assert MANIFEST["version"] == PACKAGE["version"] == eventd.__version__


def test_entry_and_manifest_are_of_one_plugin(node: str) -> None:
    """OpenClaw refuses one whose manifest and entry differ, or that needs what it does not have."""
    (entry,) = PACKAGE["openclaw"]["extensions"]
    script = f"""
    const {{ default: plugin }} = await import('{entry}');
    console.log(JSON.stringify([plugin.id, typeof plugin.register]));
    """
    assert evaluate(node, script) == [MANIFEST["id"], "function"]
    assert PACKAGE["type"] == "module"
    assert not {"dependencies", "peerDependencies", "scripts"} & PACKAGE.keys()
    assert MANIFEST["activation"]["onStartup"] is True


def test_config_of_the_manifest_is_what_is_read(node: str) -> None:
    """A key that is not read would be a promise; one that is not in the schema is refused by OpenClaw."""
    script = """
    import { readSettings } from './lib/settings.js';
    const seen = new Set();
    readSettings(new Proxy({}, { get(_, key) { seen.add(key); return undefined; } }), {});
    console.log(JSON.stringify([...seen]));
    """
    schema = MANIFEST["configSchema"]
    assert set(evaluate(node, script)) == set(schema["properties"]) == set(MANIFEST["uiHints"])
    assert schema["additionalProperties"] is False


def test_codes_are_treated_as_the_protocol_says(node: str) -> None:
    """The table is that of `EventLog`, and so is what is done about a code of a newer eventd."""
    script = """
    import { readFileSync } from 'node:fs';
    import { Action, actionFor } from './lib/codes.js';
    const names = Object.fromEntries(Object.entries(Action).map(([name, number]) => [number, name]));
    console.log(JSON.stringify(JSON.parse(readFileSync(0)).map((code) => names[actionFor(code)])));
    """
    actions = evaluate(node, script, [*CODES, "from_the_future"])
    assert actions == [*(info.action.name for info in CODES.values()), "RECONNECT"]
    script = "import { Action } from './lib/codes.js'; console.log(JSON.stringify(Object.keys(Action)))"
    assert evaluate(node, script) == [action.name for action in ClientAction]


def test_secrets_are_those_of_the_importer(node: str) -> None:
    """Recorded and imported texts look alike: the same shapes, and the same markers."""
    redaction = pytest.importorskip("eventd.redaction", reason="eventd.redaction is not in this version")
    texts = [
        "ghp_" + "a" * 36,
        "token=ghp_" + "a" * 36,
        "sk-ant-api03-" + "x" * 40,
        "sk-proj-" + "y" * 30,
        "AKIAABCDEFGHIJKLMNOP",
        "xoxb-123456789012-abc",
        "AIza" + "b" * 35,
        "PassWord: 'hunter22' and password=$NONE",
        '{"apiKey": "abcdefgh", "token": "[redacted:jwt]"}',
        "postgres://u:p4ss@host/db",
        "Authorization: bearer abcdefghijklmnop123==",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- ok",
        "-----BEGIN PRIVATE KEY-----\nMIIE",
        "123456789:AA" + "c" * 33,
        "eyJhbGciOiJI.eyJzdWIiOiI.SflKxwRJSM",
        "npm_" + "d" * 36 + " glpat-" + "e" * 20 + " sk_live_" + "f" * 20,
        "password=asia2024x and token: AKIAshort1, secret = sk-abc",
        "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG PGPASSWORD=hunter22",
        '{"clientSecret": "swordfish", "privateKey": "0x0123456789"}',
        "keyboard tokenizer passes",
    ]
    script = """
    import { readFileSync } from 'node:fs';
    import { Redaction } from './lib/redaction.js';
    console.log(JSON.stringify(JSON.parse(readFileSync(0)).map((text) => new Redaction().text(text))));
    """
    assert evaluate(node, script, texts) == [redaction.mask(text, redaction.find(text)) for text in texts]
