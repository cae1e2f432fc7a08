"""Secrets are found by their shape; what looks for them fast finds the same as looking everywhere."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventd import redaction
from eventd.redaction import find, mask

SECRETS = {
    "private-key": "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "github-token": "ghp_" + "a1B2" * 9,
    "anthropic-key": "sk-ant-api03-" + "x" * 30,
    "openai-key": "sk-proj-" + "x" * 30,
    "stripe-key": "sk_live_" + "x" * 24,
    "slack-token": "xoxb-1234567890-abc",
    "aws-key": "AKIA" + "A" * 16,
    "google-key": "AIza" + "x" * 35,
    "gitlab-token": "glpat-" + "x" * 20,
    "npm-token": "npm_" + "x" * 36,
    "telegram-token": "123456789:AA" + "x" * 33,
    "jwt": "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeKKF2QT4",
    "url-password": "postgres://anna:hunter22@db/shop",
    "bearer-token": "Authorization: BEARER abcdefghijklmnopqrstu",
    "password": "DB_PassWord: 'hunter22'",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_of_each_kind_is_found(kind: str) -> None:
    """In the midst of other text, and nothing else in it."""
    text = f"see this:\n {SECRETS[kind]} and so on"
    [secret] = find(text)
    assert (secret.kind, secret.line) == (kind, 2)
    assert f"[redacted:{kind}]" in mask(text, [secret])


def everywhere(text: str) -> list[tuple[int, int]]:
    """Return the matches of all shapes, looked for at every place, earlier kinds first."""
    shapes = "|".join(f"(?:{shape})" for shape in redaction._PATTERNS.values())
    return [match.span() for match in re.finditer(shapes, text)]


PIECES = [
    *SECRETS.values(), " ", "\n", '"', ":", "=", "token", "secret=", "sk-", "eyJ", "://", "a@b", "task-1",
    "ſecret: x1y2z3",
    "PASSED", "apiKey", "\u212aey", "İ", "pwd = ", "Bearer ", "[redacted:password]",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_looking_fast_finds_the_same(text: str) -> None:
    """However secrets lie beside and within each other."""
    assert [match.span() for _, match in redaction._matches(text)] == everywhere(text)
