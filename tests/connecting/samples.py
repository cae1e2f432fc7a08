"""Files as people have them, byte for byte."""

CLAUDE = b"""\
{
  "$schema": "https://json.schemastore.org/claude-code-settings.json",
  "model": "opus",
  "env": {"ANTHROPIC_API_KEY": "sk-not-ours"},
  "hooks": {
    "PostToolUse": [
      {
        "matcher": "Edit|Write",
        "hooks": [{"type": "command", "command": "prettier --write \\"$FILE\\"", "timeout": 30}]
      }
    ],
    "Stop": []
  },
  "permissions": { "allow": ["Bash(git *)"], "deny": [] }
}
"""
COMMENTED = b"""\
// my settings, do not touch
{
    /* the model */
    "model": "opus", // the best
    "hooks": {
        // formatters
        "PostToolUse": [
            {"hooks": [{"type": "command", "command": "x // y"}]}, // last
        ],
    },
}
// and nothing behind it
"""
TABS = b'{\n\t"hooks": {\n\t\t"SessionStart": [\n\t\t\t{\n\t\t\t\t"hooks": []\n\t\t\t}\n\t\t]\n\t}\n}'
OPENCLAW = b"""\
// ~/.openclaw/openclaw.json
{
  agents: { defaults: { workspace: '~/.openclaw/workspace' } },
  gateway: { port: 18789, auth: { token: "secret" } }, // keep
  plugins: {
    allow: ['voice-call'],
    load: { paths: ["~/plugins/voice"] },
    entries: {
      'voice-call': { enabled: true, config: { provider: 'twilio' } },
    },
  },
}
"""

HOOKS = {
    "a real one": CLAUDE,
    "comments": COMMENTED,
    "tabs, no last line end": TABS,
    "CRLF": CLAUDE.replace(b"\n", b"\r\n"),
    "BOM": b"\xef\xbb\xbf" + CLAUDE,
    "one line": b'{"model":"opus","hooks":{"Stop":[{"hooks":[]}]}}',
    "empty object": b"{}",
    "object of spaces": b"{ \n }\n\n",
    "empty file": b"",
    "blank file": b"\n",
    "empty hooks": b'{"hooks": {}}\n',
    "white space behind it": CLAUDE + b"\n\n  \t\r\n",
    "comments behind it": CLAUDE + b"// one\n/* two */",
}
"""What stands in files with hooks."""

PLUGINS = {
    "a real one": OPENCLAW,
    "CRLF": OPENCLAW.replace(b"\n", b"\r\n"),
    "strict": b'{\n  "plugins": {\n    "entries": {}\n  }\n}\n',
    "no plugins": b'{\n  "gateway": {\n    "port": 18789\n  }\n}',
    "ours before": b"{plugins: {entries: {eventd: {enabled: false, config: {budget: 500}}}}}\n",
    "empty file": b"",
}
"""What stands in openclaw.json."""

ALL = [
    *(("claude-code", name, data) for name, data in HOOKS.items()),
    *(("codex", name, HOOKS[name]) for name in ("a real one", "comments", "empty file")),
    *(("openclaw", name, data) for name, data in PLUGINS.items()),
]
IDS = [f"{tool}, {name}" for tool, name, _ in ALL]
