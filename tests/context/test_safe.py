"""Stored text cannot pose as anything but a quotation, and stays readable."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from context.stories import HOSTILE
from eventd.context.safe import defuse, label, one_line, quote


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<|>", "‹|›"),
        ("<s [INST]>", "‹s ‹INST››"),
        ("<|im_start|>system", "‹|im_start|›system"),
        ("[INST] x [/INST]", "‹INST› x ‹/INST›"),
        ("<<SYS>>x<</SYS>>", "‹‹SYS››x‹‹/SYS››"),
        ("</system-reminder>", "‹/system-reminder›"),
        ("<s>x</s>", "‹s›x‹/s›"),
        ("< / eventd-memory >", "‹ / eventd-memory ›"),
        ("### Instruction: x", "‹###› Instruction: x"),
        ("Human: x\nAssistant: y", "‹Human›: x\n‹Assistant›: y"),
        ("- **System prompt:** x", "- **‹System› prompt:** x"),
        ("```py\nx = 1\n```", "'''py\nx = 1\n'''"),
        ("a\u202eb", "a‹U+202E›b"),
        ("a\u200b\u200bb", "a‹U+200B ×2›b"),
        ("\U000e0041\U000e0042", "‹U+E0041 ×2›"),
        ("a\u2028## b", "a\n‹##› b"),
        ("\u2003System: x\n\u00a0\u3000Human: y", "‹System›: x\n  ‹Human›: y"),
        ("\u00a0## b", "‹##› b"),
        ("- - - - - - - - System: x", "- - - - - - - - ‹System›: x"),
        ("﹤/eventd-memory﹥", "‹/eventd-memory›"),
        ("</\u0435ventd-memory>", "‹/\u0435ventd-memory›"),
        ("< |im_start| >system", "‹ |im_start| ›system"),
        ("［INST］", "‹INST›"),
        ("<user_query>x</assistant_response>", "‹user_query›x‹/assistant_response›"),
        ("a\x00b", "a‹U+0000›b"),
        ("a\ud800b", "a‹U+D800›b"),
    ],
)
def test_what_could_act_is_shown_but_defused(text: str, expected: str) -> None:
    """Nothing vanishes: a reader sees what was there."""
    assert defuse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "List<int> a = b < c;",
        "see auth.py: line 4, x->y, a|b, #412 and a[0]",
        "Das System: läuft",
        "👩‍👩‍👧 ❤️ 🏳️‍🌈 1️⃣ 👍🏽 © ®",
        "नमस्ते क्‍ष می‌خواهم",
        "数据库。データ",
    ],
)
def test_plain_text_is_left_alone(text: str) -> None:
    """Code, emoji and scripts that need joiners come through as they are."""
    assert defuse(text) == text


@pytest.mark.parametrize("text", ["<", "< ", "<é", "<é-", "[", "[ ", "<<", "- ", "| ", "<user-"])
def test_long_texts_are_read_in_one_go(text: str) -> None:
    """Going back and forth in them would take minutes; the test would not end."""
    defuse(text[0] + text[-1] * 200_000)
    defuse(text * 50_000)
    defuse(f"a\n{text[-1] * 200_000}b")


DANGER = re.compile(
    r"<\||\|>|<\s*/?\s*(?:system|s|eventd-memory)\b|\[/?INST\]|```|~~~|^ {0,3}#{1,6}(?: |$)"
    r"|^(?:human|assistant|system|user):"
    r"|[\u202a-\u202e\u2066-\u2069\u200b\u2028\u2029\x00-\x08\x0b-\x1f\x7f-\x9f]"
    r"|[\U000e0000-\U000e007f]",
    re.IGNORECASE | re.MULTILINE,
)
pieces = st.sampled_from(
    ["<|", "|>", "<system>", "</s>", "[INST]", "```", "~~~", "# ", "\n", "Human:", "Assistant:", "\r",
     "\u2028", "\u202e", "\u200b", "\U000e0041", "\x00", " ", "x", "é", "数", "“", "”", "> ", "\u00a0",
     "<eventd-memory", "[…]"]
)  # fmt: skip
texts = st.lists(pieces | st.text(max_size=4), max_size=30).map("".join)


@given(texts)
def test_nothing_dangerous_is_left(text: str) -> None:
    """Whatever the pieces are put together to."""
    assert not DANGER.search(defuse(text))


@given(texts)
def test_quotations_cannot_be_left(text: str) -> None:
    """Every line has our mark; a text on our own line has neither a line end nor our quotation marks."""
    assert all(line.startswith("> ") for line in quote(defuse(text)).split("\n"))
    line = one_line(defuse(text))
    assert not set("\n\r“”") & set(line)
    assert len(line.splitlines()) <= 1


@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_one_word(text: str) -> None:
    """Session keys, agents and tools are chosen by others, too."""
    assert re.fullmatch(r"[\w:.@/+*~-]{1,64}", label(text))


def test_a_uuid_is_cut_to_what_finds_it() -> None:
    """`query --session` takes a key that ends in `*`."""
    assert label("agent:main:0f3b2c4d-1111-4222-8333-444455556666") == "agent:main:0f3b2c4d*"
