"""Ids of events, made of the tool's own ids: who sees the same thing twice gives it the same id twice.

So a hook that is called twice, and an importer that reads the transcript of a session whose hooks have run,
add nothing a second time. All of them begin with the tool and its session, `claude-code:<session_id>:`, and
go on with what it is:

| Function | Event | In the hook | In the transcript |
|---|---|---|---|
| `call` | tool call | `tool_use_id` | Claude Code: `id` of the `tool_use` block; Codex: `call_id` |
| `result` | tool result | `tool_use_id` | `tool_use_id` of the `tool_result` block; `call_id` of the output |
| `said_in` | a prompt | `prompt_id` (Claude Code), `turn_id` (Codex); the text | `promptId`, `turn_id` |
| `said_out` | an answer | the same | the same |
| `start` | the session begins | once (`startup`, `clear`, `fork`) or by minute | the first line: `startup` |
| `end` | the session ends | `reason`, by minute | not there |
| `compaction_start`, `compaction_end` | compaction | by minute; the summary | the summary |
| `run` | a subagent | `agent_id` | `agentId` of `subagents/agent-*.jsonl` |
| `other` | all else | what the hook was given, by minute | not there |

A prompt's id goes with a digest of its text, and where the tool gives no id the minute does: two prompts that
say the same are two, and a text that is read with other white space is still one.
"""

MAX_ID = 128  # bytes; the protocol takes no longer one
MINUTE = 60_000  # ms
ONCE = ("startup", "clear", "fork")
"""Ways in which a session begins; it does so once. (`resume` and `compact` come many times.)"""


def call(tool: str, session: str, tool_use: str) -> str:
    """Return the id of a tool call."""
    return _id(tool, session, "call", tool_use)


def result(tool: str, session: str, tool_use: str) -> str:
    """Return the id of the result of a tool call, or of its failure."""
    return _id(tool, session, "result", tool_use)


def said_in(tool: str, session: str, prompt: str | None, text: str, time: int) -> str:
    """Return the id of a person's prompt.

    Args:
        prompt: The tool's own id of it, or of its turn.
        time: Unix ms; counts where there is no such id.
    """
    return _id(tool, session, "in", prompt or _minute(time), digest(text))


def said_out(tool: str, session: str, prompt: str | None, text: str, time: int) -> str:
    """Return the id of an agent's answer; see `said_in`."""
    return _id(tool, session, "out", prompt or _minute(time), digest(text))


def start(tool: str, session: str, source: str, time: int) -> str:
    """Return the id of the beginning of a session.

    Args:
        source: How it begins, in the tool's words.
    """
    return _id(tool, session, "start", *(() if source in ONCE else (source, _minute(time))))


def end(tool: str, session: str, reason: str, time: int) -> str:
    """Return the id of the end of a session."""
    return _id(tool, session, "end", reason, _minute(time))


def compaction_start(tool: str, session: str, time: int) -> str:
    """Return the id of the beginning of a compaction."""
    return _id(tool, session, "compaction-start", _minute(time))


def compaction_end(tool: str, session: str, summary: str, time: int) -> str:
    """Return the id of a compaction; by its summary, where there is one."""
    return _id(tool, session, "compaction-end", digest(summary) if summary else _minute(time))


def run(tool: str, session: str, agent: str, phase: str, text: str = "") -> str:
    """Return the id of the beginning, end or failure of a run.

    Args:
        agent: The tool's id of the subagent, or of the turn.
        phase: `start`, `end` or `error`.
        text: What it ended with; an agent that is asked again ends again.
    """
    return _id(tool, session, "run", agent, phase, *((digest(text),) if text else ()))


def other(tool: str, session: str, hook: str, content: str, time: int) -> str:
    """Return the id of something else that a hook tells.

    Args:
        hook: The hook's name.
        content: All that it was given.
    """
    return _id(tool, session, "hook", hook, digest(content), _minute(time))


def digest(text: str) -> str:
    """Return 16 hexadecimal digits for a text; its white space at the ends and in runs does not count."""
    import hashlib  # takes 3 ms to load, and a tool call needs none

    normal = " ".join(text.split()).encode("utf-8", "surrogatepass")
    return hashlib.sha256(normal).hexdigest()[:16]


def _minute(time: int) -> str:
    return str(time // MINUTE)


def _id(*parts: str) -> str:
    """Join the parts of an id; it is printable ASCII, and as long as it may be."""
    plain = ":".join(parts)
    if plain.isascii() and plain.isprintable() and " " not in plain and len(plain) <= MAX_ID:
        return plain
    kept = "".join(char for char in plain if "!" <= char <= "~")
    return f"{kept[: MAX_ID - 17]}:{digest(repr(parts))}"
