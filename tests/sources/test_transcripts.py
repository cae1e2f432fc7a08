"""Transcripts as they lie on disk: of any size, torn, growing, packed, in a database that is written to."""

import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from eventd.sources import reading
from eventd.sources.finding import find
from eventd.sources.model import Options, Seen, Tool, Transcript
from eventd.sources.reading import Unreadable, lines
from eventd.sources.transcripts import NOT_UNDERSTOOD, TOO_LONG, read
from eventd_ipc.events import Event
from sources.support import ClaudeCode, Codex, OpenClaw, Plain, database, entries_as_blob, insert, jsonl, told

MIB = 2**20


def events_of(tool: Tool, home: Path, missed: Counter[str] | None = None) -> list[Event]:
    """Return the events of all transcripts of a tool."""
    seen, missed = Seen(), Counter() if missed is None else missed
    found = find(tool, {"HOME": str(home)})
    return [
        event
        for transcript in found.transcripts
        for event, _ in read(transcript, Options(Plain()), seen, missed)
    ]


def files(home: Path) -> set[str]:
    return {path.name for path in home.rglob("*") if path.is_file()}


def test_a_torn_last_line_is_left_for_the_next_time(tmp_path: Path) -> None:
    """It is being written. One in the middle is counted, and one that is whole but for its end is read."""
    path = ClaudeCode().ask("one").say("two").write(tmp_path)
    whole = path.read_bytes()
    missed: Counter[str] = Counter()
    path.write_bytes(whole[:-20])
    assert told(events_of("claude-code", tmp_path, missed)) == [("start", "startup"), ("message.in", "one")]
    assert missed == Counter()
    path.write_bytes(whole[:-1])
    assert len(events_of("claude-code", tmp_path)) == 3
    path.write_bytes(b'{"torn\n\n   \n' + whole)
    assert len(events_of("claude-code", tmp_path, missed)) == 3
    assert missed == Counter({NOT_UNDERSTOOD: 1})


def test_a_line_of_50_megabytes_takes_no_more_memory_than_its_own_few_times(tmp_path: Path) -> None:
    """And the lines behind it are read. What is longer than the bound is passed over and never held."""
    path = ClaudeCode().ask("x" * (50 * MIB)).say("after").write(tmp_path)
    tracemalloc.start()
    try:
        assert [len(text) for _, text in told(events_of("claude-code", tmp_path))] == [7, 50 * MIB, 5]
        assert tracemalloc.get_traced_memory()[1] < 6 * 50 * MIB
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 50 * MIB


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, and the next one begins where it ends."""
    monkeypatch.setattr(reading, "MAX_RECORD", 2000)
    monkeypatch.setattr(reading, "SKIPPED", 100)
    missed: Counter[str] = Counter()
    ClaudeCode().ask("one").ask("x" * 5000).say("after").write(tmp_path)
    assert [text for _, text in told(events_of("claude-code", tmp_path, missed))] == [
        "startup",
        "one",
        "after",
    ]
    assert missed == Counter({TOO_LONG: 1})


def test_a_line_that_is_too_long_is_never_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it is: reading it takes no more than the bound."""
    monkeypatch.setattr(reading, "MAX_RECORD", MIB)
    path = tmp_path / "long"
    path.write_bytes(b"x" * (30 * MIB) + b"\nshort\n")
    tracemalloc.start()
    try:
        assert [record.data for record in lines(path)] == [None, b"short\n"]
        assert tracemalloc.get_traced_memory()[1] < 5 * MIB
    finally:
        tracemalloc.stop()


def test_packed_files_are_read(tmp_path: Path) -> None:
    """Rollouts that Codex has packed."""
    Codex().ask("one").say("two").write(tmp_path, packed=True)
    assert told(events_of("codex", tmp_path))[1:] == [("message.in", "one"), ("message.out", "two")]


def test_of_a_damaged_packed_file_the_beginning_is_read(tmp_path: Path) -> None:
    """And it is told that it was not to its end."""
    session = Codex()
    for n in range(3000):
        session.ask(f"{n} {n * 7919 % 1013}")
    path = session.write(tmp_path, packed=True)
    path.write_bytes(path.read_bytes()[:-50])
    read_before: list[Event] = []
    [transcript] = find("codex", {"HOME": str(tmp_path)}).transcripts
    events = read(transcript, Options(Plain()), Seen(), Counter())
    with pytest.raises(Unreadable, match="cannot be read to its end"):
        read_before.extend(event for event, _ in events)
    assert len(read_before) > 1000


def test_what_may_not_be_read_says_so(tmp_path: Path) -> None:
    """In words; a file that has gone in between too."""
    with pytest.raises(Unreadable, match="No such file"):
        list(lines(tmp_path / "gone"))
    with pytest.raises(Unreadable, match="no plain file"):
        list(lines(tmp_path))


def test_both_eras_of_openclaw_tell_the_same(tmp_path: Path) -> None:
    """Event by event, with rows packed from the third on: the move to the database doubles nothing."""
    session = OpenClaw().ask("one").use("c", "read", {}, "x").say("two")
    path = session.write(tmp_path, key="agent:main:main")
    first = events_of("openclaw", tmp_path)
    with database(tmp_path) as db:
        insert(db, session, "agent:main:main", packed_from=3)
    db.close()
    both = events_of("openclaw", tmp_path)
    path.unlink()
    second = events_of("openclaw", tmp_path)
    assert [event.id for event in first] == [event.id for event in both] == [event.id for event in second]
    assert [event.payload for event in first] == [event.payload for event in second]
    assert len(first) == 5


def test_files_in_the_database_are_read(tmp_path: Path) -> None:
    """Packed or not, with the key that the database has for them."""
    cold, reset = OpenClaw("cold").ask("one"), OpenClaw("reset").ask("two")
    plain = b"".join(line + b"\n" for line in [b'{"type":"session","id":"reset"}'])
    with database(tmp_path) as db:
        db.execute("INSERT INTO session_windows VALUES ('cold', 'agent:main:cold', 0, 0)")
        row = ("cold", "c", "sqlite", entries_as_blob(cold))
        db.execute("INSERT INTO session_transcript_cold_archives VALUES (?, ?, ?, ?)", row)
        row2 = ("reset", "g", "agent:main:r", "reset", "identity", plain + jsonl(reset.entries[1:]))
        db.execute("INSERT INTO session_transcript_archives VALUES (?, ?, ?, ?, ?, ?)", row2)
    db.close()
    events = events_of("openclaw", tmp_path)
    assert [(event.session, text) for event, (_, text) in zip(events, told(events), strict=True)][1::2] == [
        ("agent:main:cold", "one"), ("agent:main:r", "two"),
    ]  # fmt: skip


def test_a_database_is_read_while_it_is_written(tmp_path: Path) -> None:
    """What is only in its log too; nothing is written, nor left beside one that nobody has open."""
    db = database(tmp_path)
    insert(db, OpenClaw().ask("in the log"), "agent:main:main")
    assert "openclaw-agent.sqlite-wal" in files(tmp_path)
    assert told(events_of("openclaw", tmp_path))[1:] == [("message.in", "in the log")]
    db.close()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.name for path in before} == {"openclaw-agent.sqlite"}
    assert told(events_of("openclaw", tmp_path))[1:] == [("message.in", "in the log")]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_gateway_that_starts_meanwhile_is_noticed(tmp_path: Path) -> None:
    """A database that was taken for one that does not change is opened afresh."""
    db = database(tmp_path)
    session = OpenClaw()
    for n in range(1200):
        session.ask(f"{n}")
    insert(db, session, "agent:main:main")
    db.close()
    [transcript] = find("openclaw", {"HOME": str(tmp_path)}).transcripts
    told_so_far: list[Event] = []
    writer = None
    for event, _ in read(transcript, Options(Plain()), Seen(), Counter()):
        told_so_far.append(event)
        if writer is None:
            writer = database(tmp_path)
            writer.execute("DELETE FROM transcript_events WHERE seq > 1000")
    assert writer is not None
    writer.close()
    assert len(told_so_far) == 1 + 1000  # the last batch is read as the database is by then


def test_damaged_rows_are_counted_and_the_others_read(tmp_path: Path) -> None:
    """One that is packed wrong, one that is no JSON."""
    with database(tmp_path) as db:
        insert(db, OpenClaw().ask("one").ask("two").ask("three"), "agent:main:main")
        db.execute("UPDATE transcript_events SET event_json = NULL, event_zstd = x'28b52ffd00' WHERE seq = 1")
        db.execute("UPDATE transcript_events SET event_json = '{' WHERE seq = 2")
    db.close()
    missed: Counter[str] = Counter()
    assert told(events_of("openclaw", tmp_path, missed))[1:] == [("message.in", "three")]
    assert missed == Counter({NOT_UNDERSTOOD: 2})


def test_what_grows_while_it_is_read_is_read_as_far_as_it_is_whole(tmp_path: Path) -> None:
    """No line is told twice or in part, however it is written."""
    session = ClaudeCode()
    for n in range(50):
        session.ask(f"{n}")
    path = session.write(tmp_path)
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half])
    transcript = Transcript("claude-code", "claude-code", path, half, 0, "s-1", group="g")
    texts: list[str] = []
    for event, _ in read(transcript, Options(Plain()), Seen(), Counter()):
        texts += [text for _, text in told([event])]
        if len(texts) == 5:
            with path.open("ab") as file:
                file.write(data[half:])
    assert texts == ["startup", *(str(n) for n in range(50))][: len(texts)]
