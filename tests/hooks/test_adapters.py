"""The recorded inputs of both tools become the golden events, contexts the outputs that the tools take."""

import functools
import json
from types import ModuleType
from typing import Any

import msgspec
import pytest

from eventd.events.normal import normalise
from eventd.events.types import Kind
from eventd.hooks import claude_code, client, codex, delivery
from eventd_ipc.errors import CODES, ClientAction
from eventd_ipc.messages import PROTOCOL
from eventd_ipc.strict import check_labels, decode_event
from hooks.support import GOLDEN, given, inputs

NOW = 1_790_000_000_000
DEEP = functools.reduce(lambda inner, _: [inner], range(5000), list[Any]())
ADAPTERS = {"claude-code": claude_code, "codex": codex}
RECORDED = [(tool, name) for tool in ADAPTERS for name, _ in inputs(tool)]


def golden(tool: str) -> dict[str, list[dict[str, Any]]]:
    events: dict[str, list[dict[str, Any]]] = json.loads(
        (GOLDEN / f"{tool.replace('-', '_')}.json").read_text()
    )
    return events


@pytest.mark.parametrize(("tool", "name"), RECORDED)
def test_each_hook_becomes_its_golden_events(tool: str, name: str) -> None:
    """Byte for byte; and the daemon takes them."""
    events = ADAPTERS[tool].events(given(tool, name), tool, NOW)
    assert events == golden(tool)[name]
    for event in events:
        decode_event(msgspec.msgpack.encode(event))


def test_there_is_an_input_for_each_hook_that_is_known() -> None:
    for tool, adapter in ADAPTERS.items():
        recorded = {content["hook_event_name"] for _, content in inputs(tool)}
        assert recorded == {*adapter.HOOKS, "SomethingNew2027"}


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("user_prompt_submit", Kind.MESSAGE_IN, "Is the shop moved yet?"),
        ("stop", Kind.MESSAGE_OUT, "Not yet: it moves on Thursday at 06:00."),
        ("pre_tool_use", Kind.TOOL_CALL, "npm test"),
        ("post_tool_use", Kind.TOOL_RESULT, "12 passed"),
        ("subagent_start", Kind.RUN_START, ""),
        ("subagent_stop", Kind.RUN_END, "es"),
        ("stop_failure", Kind.RUN_ERROR, ""),
    ],
    ids=lambda value: value if isinstance(value, str) and value.islower() and "_" in value else "",
)
@pytest.mark.parametrize("tool", ADAPTERS)
def test_readers_see_what_was_said(tool: str, name: str, kind: Kind, text: str) -> None:
    """In the one normal form, with the tool's own id of a call."""
    (event,) = golden(tool)[name]
    found = normalise(json.dumps(event).encode())
    assert found is not None
    assert found.kind is kind
    assert text in found.text
    if kind in (Kind.TOOL_CALL, Kind.TOOL_RESULT):
        assert found.call == given(tool, name)["tool_use_id"]
        assert found.tool == "Bash"


def test_nothing_of_a_form_is_kept() -> None:
    """What a person puts into it may be a password; not even a digest of it is."""
    one = claude_code.events(given("claude-code", "elicitation_result"), "a", NOW)
    changed = given("claude-code", "elicitation_result", content={"password": "x"})
    other = claude_code.events(changed, "a", NOW)
    assert "correct horse" not in json.dumps(one)
    assert one == other


@pytest.mark.parametrize("tool", ADAPTERS)
@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"hook_event_name": None, "session_id": 5, "cwd": []},
        {"hook_event_name": "Pre Tool/Use\n", "session_id": "ä b\n" * 400},
        {"hook_event_name": "PreToolUse", "session_id": "s", "tool_name": {}, "tool_input": None},
        {"hook_event_name": "Stop", "session_id": "s", "last_assistant_message": None},
        {"hook_event_name": "PostToolBatch", "session_id": "s", "tool_calls": "no list"},
        {"hook_event_name": "New", "session_id": "s", "deep": DEEP},
    ],
    ids=range(7),
)
def test_what_a_tool_should_not_say_is_stored_all_the_same(tool: str, strange: dict[str, Any]) -> None:
    for event in ADAPTERS[tool].events(strange, tool, NOW):
        decode_event(msgspec.msgpack.encode(event))
        check_labels(event["type"], None, event["session"])


def test_prompts_that_say_the_same_are_two_and_one_that_is_sent_twice_is_one() -> None:
    def ids(**changes: Any) -> list[str]:
        prompt = given("claude-code", "user_prompt_submit", prompt="continue", **changes)
        return [event["id"] for event in claude_code.events(prompt, "a", NOW)]

    assert ids() == ids()
    assert ids() != ids(prompt_id="another")


# The rules of codex-rs/hooks/schema/generated/{session-start,user-prompt-submit}.command.output.schema.json
# (github.com/openai/codex): no key beside these, at both levels.
CODEX_KEYS = {
    "SessionStart": {"continue", "stopReason", "suppressOutput", "systemMessage", "hookSpecificOutput"},
    "UserPromptSubmit": {
        "continue", "stopReason", "suppressOutput", "systemMessage", "hookSpecificOutput", "decision",
        "reason",
    },
}  # fmt: skip
CODEX_SPECIFIC = {
    "SessionStart": {"hookEventName", "additionalContext", "env"},
    "UserPromptSubmit": {"hookEventName", "additionalContext"},
}


@pytest.mark.parametrize("hook", CODEX_KEYS)
def test_codex_takes_the_output(hook: str) -> None:
    """Its schemas allow no other keys (`additionalProperties: false`), and require the hook's name."""
    text = 'quotes " and lines\nand 東京 and \u2028'
    printed = json.loads(codex.output(hook, text))
    assert set(printed) <= CODEX_KEYS[hook]
    specific = printed["hookSpecificOutput"]
    assert set(specific) <= CODEX_SPECIFIC[hook]
    assert specific == {"hookEventName": hook, "additionalContext": text}


@pytest.mark.parametrize("hook", ["SessionStart", "UserPromptSubmit"])
def test_claude_code_takes_the_output(hook: str) -> None:
    """It parses what begins with a brace; the documented form is exactly this."""
    printed = claude_code.output(hook, "text\n")
    assert printed.startswith("{")
    assert json.loads(printed) == {
        "hookSpecificOutput": {"hookEventName": hook, "additionalContext": "text\n"}
    }


@pytest.mark.parametrize(
    ("adapter", "text", "fits"),
    [
        (claude_code, "x" * 10_000, True),
        (claude_code, "x" * 10_001, False),
        (claude_code, "😀" * 5001, False),
        (claude_code, "é" * 10_000, True),
        (codex, "x" * 10_000, True),
        (codex, "é" * 5001, False),
    ],
    ids=range(6),
)
def test_limits_are_counted_as_the_tool_counts(adapter: ModuleType, text: str, fits: bool) -> None:
    """JavaScript counts UTF-16 units, Codex bytes."""
    assert adapter.fits(text) is fits


def test_what_the_hook_knows_of_the_protocol_is_true() -> None:
    dropped = {ClientAction.DROP_EVENT, ClientAction.DROP_AGENT, ClientAction.DROP_EMIT}
    assert {code for code, info in CODES.items() if info.action in dropped} == delivery.FINAL
    assert client.PROTOCOL == PROTOCOL
