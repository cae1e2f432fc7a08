"""What leaves the process: nothing private, no secrets, and not too much."""

import json

import pytest

from eventd import redaction
from eventd.hooks import cleaning
from eventd.hooks.cleaning import (
    MAX_EVENT,
    PRIVATE,
    STEPS,
    clean,
    is_all_private,
    redacted,
    without_private,
)

SECRETS = {
    "github-token": "ghp_" + "a1B2" * 9,
    "anthropic-key": "sk-ant-" + "a1B2c3D4" * 5,
    "aws-key": "AKIA" + "ABCDEFGH12345678",
    "slack-token": "xoxb-" + "1234567890-abcdefghij",
    "jwt": "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
    "stripe-key": "sk_live_" + "a1B2c3D4e5F6g7H8",
    "google-key": "AIza" + "a" * 35,
    "npm-token": "npm_" + "a" * 36,
    "gitlab-token": "glpat-" + "a" * 20,
    "telegram-token": "123456789:AA" + "a" * 33,
    "private-key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("nothing here", "nothing here"),
        ("a <private>b</private> c", f"a {PRIVATE} c"),
        ("<PRIVATE>b</Private>c", f"{PRIVATE}c"),
        ("a <private>b", f"a {PRIVATE}"),
        ("a <private>b<private>c</private>d</private> e", f"a {PRIVATE} e"),
        ("a</private> b", "a</private> b"),
        ("<private>a</private></private>b", f"{PRIVATE}</private>b"),
        ("<private>a</private> b <private>c</private>", f"{PRIVATE} b {PRIVATE}"),
        ("<private >a</ private> < Private\n>b</private\t>c", f"{PRIVATE} {PRIVATE}c"),
        ("<PrivateRoute>a</PrivateRoute>", "<PrivateRoute>a</PrivateRoute>"),
    ],
    ids=range(10),
)
def test_private_parts_are_replaced(text: str, kept: str) -> None:
    assert without_private(text) == kept


def test_a_message_that_is_all_private_is_known() -> None:
    assert is_all_private(" <private>x</private>\n<private>y</private> ")
    assert not is_all_private("<private>x</private> y")
    assert not is_all_private(" ")


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets_become_markers_that_name_their_kind(kind: str) -> None:
    assert redacted(f"before {SECRETS[kind]} after") == f"before [redacted:{kind}] after"


def test_no_kind_of_secret_is_passed_over() -> None:
    """Our quick look sees whatever the one of `redaction` sees."""
    for hint in (*redaction._HINTS, redaction.BEGIN.lower()):
        assert any(ours in hint for ours in cleaning._HINTS), hint
    known = set(redaction._PATTERNS)
    tried = set(SECRETS) | {"openai-key", "url-password", "bearer-token", "password"}
    assert tried == known, "a new kind of secret needs an example here, and perhaps a hint in `cleaning`"
    others = "sk-proj-" + "a1" * 20, "https://u:pa55word@h", "Bearer " + "a1" * 20, "PASSWORD=hunter2hunter2"
    for text in others:
        assert "[redacted:" in redacted(text)


def test_what_a_key_calls_a_password_is_one() -> None:
    assert clean({"password": "hunter2hunter2", "note": "hunter2hunter2"}) == {
        "password": "[redacted:password]",
        "note": "hunter2hunter2",
    }


def test_a_name_may_be_a_secret_itself() -> None:
    """Some tools are told of tokens by their names."""
    assert clean({SECRETS["github-token"]: {"path": 1}}) == {"[redacted:github-token]": {"path": 1}}


def test_a_secret_where_a_text_is_cut_is_seen_as_a_whole() -> None:
    """Not a half of it is stored."""
    secret = SECRETS["github-token"]
    most = STEPS[0][0]
    for place in (most - most // 4 - 20, 1_000_000 - most // 4 - 20):
        text = "x " * (place // 2) + secret + " y" * ((1_000_000 - place) // 2)
        kept = clean(text)
        assert "ghp_" not in kept
        assert len(kept) < most + 200


def test_a_long_text_keeps_both_ends_and_says_what_is_missing() -> None:
    text = "begin " + "x" * 20_000_000 + " end"
    kept = clean({"result": text})["result"]
    assert kept.startswith("begin ")
    assert kept.endswith(" end")
    assert f"of {len(text)} characters left out here" in kept


def test_an_event_is_never_larger_than_it_may_be() -> None:
    wide: dict[str, object] = {f"key{n}": ["é" * 3000] * 40 for n in range(500)}
    wide |= {f"deep{n}": {"a": {"b": ["x" * 100_000]}} for n in range(500)}
    assert 1000 < len(json.dumps(clean(wide), ensure_ascii=False).encode()) <= MAX_EVENT


def test_levels_numbers_and_half_characters_become_what_the_protocol_takes() -> None:
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    kept = clean({"deep": deep, "nan": float("nan"), "big": 2**70, "half": "a\ud800", "k\ud800": 1})
    assert "deeper levels" in json.dumps(kept)
    assert (kept["nan"], kept["big"], kept["half"], kept["k?"]) == ("nan", str(2**70), "a?", 1)
