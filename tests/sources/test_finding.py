"""Which files and databases are read: every session once, whatever else lies beside it."""

import os
from pathlib import Path

import pytest

from eventd.sources.finding import find
from eventd.sources.model import Found, Tool
from sources.support import ClaudeCode, Codex, OpenClaw, database, entries_as_blob, insert, write


def names(found: Found) -> list[str]:
    """Return the names of the transcripts, in the order in which they are read."""
    return [transcript.path.name for transcript in found.transcripts]


def look(tool: Tool, home: Path, **environ: str) -> Found:
    return find(tool, {"HOME": str(home), **environ})


def test_sessions_of_claude_code(tmp_path: Path) -> None:
    """Those of projects and their subagents; not the results that lie beside them. The older one first."""
    old = ClaudeCode("old").ask("x").write(tmp_path)
    ClaudeCode("new").ask("x").write(tmp_path)
    os.utime(old, (1, 1))
    below = tmp_path / ".claude" / "projects" / "-work-shop" / "new"
    write(below / "subagents" / "agent-a7.jsonl", [{}])
    write(below / "tool-results" / "big.jsonl", [{}])
    write(tmp_path / ".claude" / "projects" / "stray.jsonl", [{}])
    found = look("claude-code", tmp_path)
    assert names(found)[0] == "old.jsonl"
    assert sorted((one.session, one.path.name) for one in found.transcripts) == [
        ("new", "agent-a7.jsonl"), ("new", "new.jsonl"), ("old", "old.jsonl"),
    ]  # fmt: skip
    assert {transcript.agent for transcript in found.transcripts} == {"claude-code"}


def test_variables_move_the_folders(tmp_path: Path) -> None:
    """As they do for the tools, and the agent may be another one."""
    ClaudeCode().ask("x").write(tmp_path)
    Codex().ask("x").write(tmp_path)
    OpenClaw().ask("x").write(tmp_path)
    folder = str(tmp_path / "elsewhere")
    for tool, variable, place in (
        ("claude-code", "CLAUDE_CONFIG_DIR", ".claude"), ("codex", "CODEX_HOME", ".codex"),
        ("openclaw", "OPENCLAW_STATE_DIR", ".openclaw"),
    ):  # fmt: skip
        assert len(find(tool, {"HOME": folder, variable: str(tmp_path / place)}).transcripts) == 1  # type: ignore[arg-type]
        empty = find(tool, {"HOME": str(tmp_path), variable: folder})  # type: ignore[arg-type]
        assert empty.transcripts == []
        assert all(str(looked).startswith(folder) for looked in empty.places)
    assert find("codex", {"HOME": str(tmp_path)}, "me").transcripts[0].agent == "me"


def test_rollouts_of_codex(tmp_path: Path) -> None:
    """Archived and packed ones too, in the order of their times; the history only repeats prompts."""
    Codex("02b038a1-c2ee-7642-98e4-c94d7a479e0c").write(tmp_path, packed=True)
    Codex().write(tmp_path, archived=True)
    (tmp_path / ".codex" / "history.jsonl").write_text("{}\n")
    (tmp_path / ".codex" / "sessions" / "other.jsonl").write_text("{}\n")
    found = look("codex", tmp_path)
    assert [transcript.session[:2] for transcript in found.transcripts] == ["01", "02"]
    assert [passed.path.name for passed in found.passed] == ["history.jsonl"]


def test_files_of_openclaw(tmp_path: Path) -> None:
    """With their keys. What was reset was said; checkpoints, backups and deleted ones are not read."""
    session = OpenClaw().ask("x")
    session.write(tmp_path, key="agent:main:main")
    session.write(tmp_path, suffix=".jsonl.reset.2026-05-28T00-00-00.000Z")
    for suffix in (
        ".checkpoint.11111111-2222-4333-8444-555555555555.jsonl", ".jsonl.deleted.2026-05-28", ".jsonl.bak",
        ".trajectory.jsonl",
    ):  # fmt: skip
        session.write(tmp_path, suffix=suffix)
    OpenClaw("other").ask("x").write(tmp_path, agent="helper")
    folder = tmp_path / ".openclaw" / "agents" / "main"
    write(folder / "sessions" / "cold" / "abc.jsonl.zst", session.entries, packed=True)
    write(folder / "session-sqlite-import-archive" / "x.jsonl.imported-1", session.entries)
    found = look("openclaw", tmp_path)
    assert [(one.agent, one.key, one.path.suffixes[-1]) for one in found.transcripts] == [
        ("helper", "", ".jsonl"), ("main", "agent:main:main", ".jsonl"), ("main", "agent:main:main", ".000Z"),
        ("main", "", ".zst"),
    ]  # fmt: skip
    assert sorted(passed.reason for passed in found.passed) == [
        "1 files that were moved into the database", "a backup", "a checkpoint, which repeats its session",
        "a trajectory, which repeats its session", "deleted by its owner",
    ]  # fmt: skip
    assert not any(passed.trouble for passed in found.passed)


def test_rows_of_openclaw(tmp_path: Path) -> None:
    """Every session of the database with its key; of files in it those that were reset or became cold."""
    with database(tmp_path) as db:
        insert(db, OpenClaw("live").ask("x"), "agent:main:main")
        blob = entries_as_blob(OpenClaw("gone").ask("x"))
        for name, reason in (("reset", "reset"), ("gone", "deleted")):
            row = (name, "g", "agent:main:other", reason, "zstd", blob)
            db.execute("INSERT INTO session_transcript_archives VALUES (?, ?, ?, ?, ?, ?)", row)
        db.execute("INSERT INTO session_transcript_cold_archives VALUES ('cold', 'c', 'sqlite', ?)", (blob,))
        db.execute("INSERT INTO session_transcript_cold_archives VALUES ('file', 'f', 'file', NULL)")
    db.close()
    found = look("openclaw", tmp_path)
    assert [(one.session, one.key, one.form) for one in found.transcripts] == [
        ("live", "agent:main:main", "rows"), ("cold", "", "file"), ("reset", "agent:main:other", "file"),
    ]  # fmt: skip


def test_an_older_root_that_is_a_link_is_read_once(tmp_path: Path) -> None:
    """OpenClaw had other names, and left links behind."""
    OpenClaw().ask("x").write(tmp_path)
    (tmp_path / ".clawdbot").symlink_to(tmp_path / ".openclaw")
    assert len(look("openclaw", tmp_path).transcripts) == 1


def test_links_are_followed_once(tmp_path: Path) -> None:
    """Also those that lead in a circle, or nowhere."""
    path = ClaudeCode().ask("x").write(tmp_path)
    path.with_name("zz.jsonl").symlink_to(path)
    path.with_name("circle").symlink_to(path.parent)
    path.with_name("nowhere.jsonl").symlink_to(tmp_path / "missing")
    (tmp_path / ".claude" / "projects" / "also").symlink_to(path.parent)
    found = look("claude-code", tmp_path)
    assert len(found.transcripts) == 1
    assert [passed.trouble for passed in found.passed] == [True]


def test_what_is_no_plain_file_is_told(tmp_path: Path) -> None:
    """A pipe would keep us for ever."""
    path = ClaudeCode().ask("x").write(tmp_path)
    os.mkfifo(path.with_name("pipe.jsonl"))
    assert [passed.reason for passed in look("claude-code", tmp_path).passed] == ["no plain file"]


def test_a_damaged_index_costs_the_keys_and_no_session(tmp_path: Path) -> None:
    """Nor does a damaged database cost the files beside it."""
    path = OpenClaw().ask("x").write(tmp_path)
    (path.parent / "sessions.json").write_text("{torn")
    (path.parents[1] / "agent").mkdir()
    (path.parents[1] / "agent" / "openclaw-agent.sqlite").write_bytes(b"no database" * 500)
    found = look("openclaw", tmp_path)
    assert len(found.transcripts) == 1
    assert [passed.trouble for passed in found.passed] == [True, True]


@pytest.mark.parametrize("tool", ["claude-code", "codex", "openclaw"])
def test_nothing_is_found_where_nothing_is(tool: Tool, tmp_path: Path) -> None:
    """But where it was looked is known."""
    found = look(tool, tmp_path)
    assert (found.transcripts, found.passed) == ([], [])
    assert found.places
