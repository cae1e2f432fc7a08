"""What looks like a secret is found, named by its kind, and masked so that nobody takes it for one."""

import json

import pytest

from eventd.redaction import find, mask

A = "abcdefghijklmnopqrstuvwxyz0123456789"
TORN = f"-----BEGIN RSA PRIVATE KEY-----\n{A}\n"
PEM = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{A}\n{A}==\n-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "kind", "secret"),
    [
        (f"key sk-{A}", "openai-key", f"sk-{A}"),
        (f"sk-proj-{A}", "openai-key", f"sk-proj-{A}"),
        (f"sk-ant-api03-{A}", "anthropic-key", f"sk-ant-api03-{A}"),
        (f"token: ghp_{A}", "github-token", f"ghp_{A}"),
        (f"github_pat_{A}", "github-token", f"github_pat_{A}"),
        ("xoxb-123456789012-abcdef", "slack-token", "xoxb-123456789012-abcdef"),
        ("AKIAABCDEFGHIJKLMNOP", "aws-key", "AKIAABCDEFGHIJKLMNOP"),
        ("AIza" + A[:35], "google-key", "AIza" + A[:35]),
        (f"eyJ{A}.eyJ{A}.{A}", "jwt", f"eyJ{A}.eyJ{A}.{A}"),
        (f"Authorization: Bearer {A}", "bearer-token", A),
        ("postgres://robin:hunter2@db/x", "url-password", "hunter2"),
        ("password: hunter2!", "password", "hunter2!"),
        ('"api_key": "s3cr3t-value"', "password", "s3cr3t-value"),
        ("export DB_PASSWORD='correcthorse'", "password", "correcthorse"),
        ("- **Password**: correcthorse", "password", "correcthorse"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "password", "wJalrXUtnFEMI/K7MDENG"),
        ("PGPASSWORD=correcthorse psql", "password", "correcthorse"),
        ('{"clientSecret": "correcthorse"}', "password", "correcthorse"),
        ("PRIVATE_KEY=0x0123456789abcdef", "password", "0x0123456789abcdef"),
        (PEM, "private-key", PEM),
        (
            f"cut off: -----BEGIN RSA PRIVATE KEY-----\n{A}\n",
            "private-key",
            f"-----BEGIN RSA PRIVATE KEY-----\n{A}\n",
        ),
    ],
)
def test_secrets_are_found(text: str, kind: str, secret: str) -> None:
    """With their kind, and all of them."""
    [found] = find(text)
    assert (found.kind, text[found.start : found.end]) == (kind, secret)
    masked = mask(text, [found])
    assert secret not in masked
    assert f"[redacted:{kind}]" in masked
    assert find(masked) == [], "a marker is no secret"


@pytest.mark.parametrize(
    "text",
    [
        "", "The password is secret.", "token: <your token>", "password: ${PASSWORD}", "the salt: please",
        "a-sk-short", "https://example.org/a:b@c", "the key: to success", "secret: $(cat file)",
        "tokens: 1200000", "git@github.com:a/b", "sk-1234", "password: [redacted:password]",
    ],
)  # fmt: skip
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    """A person who is told of these stops reading."""
    assert find(text) == []


def test_lines_are_counted() -> None:
    """Whatever ends them."""
    found = find(f"a\nb\r\nghp_{A}\rghp_{A}")
    assert [secret.line for secret in found] == [3, 4]


def test_json_stays_json() -> None:
    """A secret in a text of it goes up to the end of that text at the most."""
    value = [{"fact": f"password: x{A}"}, {"torn": TORN}, {"key": PEM}, {"token": f"ghp_{A}", "n": 1}]
    text = json.dumps(value)
    masked = json.loads(mask(text, find(text)))
    assert masked == [
        {"fact": "password: [redacted:password]"},
        {"torn": "[redacted:private-key]"},
        {"key": "[redacted:private-key]"},
        {"token": "[redacted:github-token]", "n": 1},
    ]


def test_a_large_text_is_looked_through_in_reasonable_time() -> None:
    """No shape goes back and forth in what is nearly one, and very many of them may be in a line."""
    for text in (
        "eyJ" + "a" * 100_000,
        "-----BEGIN PRIVATE KEY-----" * 2000,
        "password" * 50_000,
        "a_" * 200_000,
        "eyJaaaaaaaaa." * 150_000,
    ):
        find(text)
