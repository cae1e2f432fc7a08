"""A run over a workspace: what is sent says the files byte for byte, and each thing once."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventd.context import memory
from eventd.events.normal import normalise
from eventd.events.types import kind_of
from eventd.index.model import Entry
from eventd.migration.run import Taken
from migration.support import NOW, Store, sent
from support.workspace import GITHUB, SAMPLE, contents, of_type, rebuilt, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace with files of every sort."""
    return write(tmp_path / "workspace")


def test_events_say_the_files_byte_for_byte(folder: Path) -> None:
    """Whatever the encoding and the name; every file that has bytes is there."""
    store = Store()
    store.migrate(folder)
    assert rebuilt(store.bodies.values()) == contents(folder) == SAMPLE


def test_another_run_adds_nothing(folder: Path) -> None:
    """Also at another time, after the files were touched, and in the order of another disk."""
    store = Store()
    store.migrate(folder)
    for place in folder.rglob("*"):
        os.utime(place, (1, 1))
    assert sent(store.migrate(folder, now=NOW + 10**9)) == []


def test_the_same_files_have_the_same_ids_elsewhere(folder: Path, tmp_path: Path) -> None:
    """On another machine, say."""
    here, there = Store(), Store()
    here.migrate(folder)
    there.migrate(Path(shutil.copytree(folder, tmp_path / "other" / "place")))
    assert list(here.bodies) == list(there.bodies)


def test_a_workspace_that_was_moved_is_the_same_one(folder: Path, tmp_path: Path) -> None:
    """Its folder is gone, and a file of it is as it was."""
    store = Store()
    store.migrate(folder)
    moved = folder.rename(tmp_path / "elsewhere")
    write(moved, {"memory/ideas.md": b"Another one.\n"})
    assert sent(store.migrate(moved)) == ["migration.note"]
    assert sent(store.migrate(moved)) == []


def test_a_workspace_on_another_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same one where half of its files are as they were, not where it only has the same folder."""
    store = Store()
    store.migrate(folder)
    with monkeypatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: "another")
        assert sent(store.migrate(folder)) == []
        for path in list(SAMPLE)[: len(SAMPLE) * 2 // 3]:
            (folder / path).write_bytes(b"of somebody else\n")
        assert len(sent(store.migrate(folder))) > len(SAMPLE)
        assert sent(store.migrate(folder)) == []
    write(folder)
    assert sent(store.migrate(folder)) == [], "nothing of the first one was replaced"


def test_two_workspaces_of_an_agent_stay_apart(folder: Path, tmp_path: Path) -> None:
    """They have files of the same names; neither replaces the other's, however often each is migrated."""
    other = write(tmp_path / "other", {"MEMORY.md": b"# Another memory\n"})
    store = Store()
    store.migrate(folder)
    assert sent(store.migrate(other)) == ["migration.long_term_memory"]
    assert sent(store.migrate(folder)) == sent(store.migrate(other)) == []


def test_only_what_changed_is_added(folder: Path) -> None:
    """An edited section replaces the old one, and a new lead the old lead; nothing else is touched."""
    store = Store()
    store.migrate(folder)
    before = {e["id"]: e["payload"]["data"] for e in of_type(store.bodies.values(), "migration.section")}
    edited = SAMPLE["MEMORY.md"].replace(b"a rocket", b"a moon rocket")
    write(folder, {"MEMORY.md": edited.replace(b"## Projects", b"## New\nOne more.\n## Projects")})
    steps = store.migrate(folder)
    assert sorted(sent(steps)) == ["migration.long_term_memory", "migration.section", "migration.section"]
    new, section, lead = (outgoing.event.payload["data"] for step in steps for outgoing in step.outgoing)
    assert (new["heading"], new.get("supersedes")) == ("New", None)
    [old] = section["supersedes"]
    assert (before[old]["heading"], before[old]["path"]) == ("Projects", "MEMORY.md")
    assert len(lead["supersedes"]) == 1
    assert rebuilt(store.bodies.values()) == contents(folder)
    assert sent(store.migrate(folder)) == []


def test_a_content_that_comes_back_is_new_again(tmp_path: Path) -> None:
    """A, B, A: the last one is an event of its own, and replaces B."""
    folder, store = tmp_path / "w", Store()
    for text, number in ((b"A", 1), (b"B", 1), (b"A", 2), (b"B", 2), (b"A", 3)):
        write(folder, {"MEMORY.md": b"# " + text + b"\n## S\n" + text})
        assert len(sent(store.migrate(folder))) == 2
        assert sent(store.migrate(folder)) == []
        last = list(store.bodies)[-1]
        assert last.endswith(f"-{number}") == (number > 1)
        assert rebuilt(store.bodies.values()) == contents(folder)


def test_what_is_gone_is_told_and_stays(folder: Path) -> None:
    """A section, and a fact; neither is replaced by anything."""
    store = Store()
    store.migrate(folder)
    items = json.loads(SAMPLE["life/areas/people/jane-doe/items.json"])
    write(folder, {
        "memory/2026-04-24.md": b"# 2026-04-24\n\n## Morning\nPlanted a baobab.\n\n",
        "life/areas/people/jane-doe/items.json": json.dumps(items[1:]).encode(),
    })  # fmt: skip
    steps = store.migrate(folder)
    assert sorted(sent(steps)) == ["migration.daily_note", "migration.fact_file"]
    assert [gone for step in steps for plan in step.plans for gone in plan.gone] == [
        "fact jane-doe-001",
        "Evening",
    ]


def test_a_file_that_was_emptied_says_nothing_any_more(tmp_path: Path) -> None:
    """Else a session would begin with what somebody has taken out of it."""
    store = Store()
    for data in (b"# M\n## A\na\n", b"", b"# M\n## A\na\n", b""):
        store.migrate(write(tmp_path, {"MEMORY.md": data, "memory/never.md": b""}))
        assert rebuilt(store.bodies.values()) == {"MEMORY.md": data}
    assert sent(store.migrate(tmp_path)) == []


@pytest.mark.parametrize("most", [*range(0, 50, 3), 10_000])
def test_a_run_that_was_killed_leads_to_the_same_events(folder: Path, most: int) -> None:
    """Wherever it ended: the next run adds the rest, of a first run and of one after an edit."""
    whole, torn = Store(), Store()
    for store, limit in ((whole, None), (torn, most)):
        store.migrate(folder, most=limit)
        store.migrate(folder)
    assert torn.bodies == whole.bodies
    edits = {
        "MEMORY.md": b"# New\n## Projects\nOther.\n## Preferences\nX\n## Preferences\nY\n",
        **changed_facts(),
    }
    write(folder, edits)
    for store, limit in ((whole, None), (torn, most)):
        store.migrate(folder, most=None if limit is None else limit % 7)
        store.migrate(folder)
    assert torn.bodies == whole.bodies


def changed_facts() -> dict[str, bytes]:
    path = "life/areas/people/jane-doe/items.json"
    items = json.loads(SAMPLE[path])
    items[1] |= {"status": "superseded", "supersededBy": "jane-doe-003"}
    items.append({"id": "jane-doe-003", "fact": "Jane has retired", "timestamp": "2026-05-05"})
    return {path: json.dumps(items).encode()}


def entries(store: Store) -> list[Entry]:
    """The facts that the index would hand to the context."""
    made, replaced = [], set[str]()
    for n, body in enumerate(store.bodies.values(), 1):
        event = normalise(body)
        assert event is not None
        replaced.update(event.data.get("supersedes", ()))
        made.append(
            Entry(
                n, "s", n, "x", event.agent, event.session, event.type, kind_of(event.type), "internal",
                event.time or 0, 0, event.run, "", event.id, 1, body,
            )
        )  # fmt: skip
    return [entry for entry in made if entry.event_id not in replaced and entry.type == "memory.fact"]


def test_the_context_has_the_facts_that_hold(folder: Path) -> None:
    """Not those that say that they were superseded, or that another supersedes; equal ids do not clash."""
    store = Store()
    store.migrate(folder)
    found, _ = memory.facts(entries(store), [], 100)
    assert sorted(fact.text for fact in found) == [
        "Apollo flies in May", "Globex has 120 people", "Jane works at Globex", "The attic leaks",
        "The boat is blue",
    ]  # fmt: skip
    by_text = {fact.text: fact for fact in found}
    assert by_text["Jane works at Globex"].about == ("Jane Doe", "relationship")
    assert by_text["Jane works at Globex"].time == 1_772_706_600_000
    assert by_text["The attic leaks"].time == 1_762_862_400_000, "noon UTC"


def test_a_fact_that_changes_replaces_its_event(folder: Path) -> None:
    """It has the same name; the context shows the news only. Reading a fact changes nothing."""
    store = Store()
    store.migrate(folder)
    write(folder, changed_facts())
    steps = store.migrate(folder)
    assert sent(steps) == ["memory.fact", "memory.fact", "migration.fact_file"]
    changed = steps[0].outgoing[0].event.payload["data"]
    assert changed["factId"] == "people/jane-doe/jane-doe-002"
    assert len(changed["supersedes"]) == 1
    texts = [fact.text for fact in memory.facts(entries(store), [], 100)[0]]
    assert "Jane has retired" in texts
    assert "Jane works at Globex" not in texts
    path = "life/areas/people/jane-doe/items.json"
    write(folder, {path: (folder / path).read_bytes().replace(b'"accessCount": 3', b'"accessCount": 4')})
    assert sent(store.migrate(folder)) == ["migration.fact_file"]


def test_a_list_may_begin_with_the_newest(tmp_path: Path) -> None:
    """What a fact closes may stand behind it; of two that close each other one stays."""
    path = "life/areas/people/jane/items.json"
    items = [
        {"id": "c", "fact": "now", "supersedes": "b"},
        {"id": "b", "fact": "then", "supersedes": ["a"]},
        {"id": "a", "fact": "before"},
        {"id": "x", "fact": "ping", "supersedes": "y"},
        {"id": "y", "fact": "pong", "supersedes": "x"},
    ]
    store = Store()
    store.migrate(write(tmp_path, {path: json.dumps(items).encode()}))
    data = {name: json.loads(body)["payload"]["data"] for name, body in store.bodies.items()}
    closed = {name for fact in data.values() for name in fact.get("supersedes", ())}
    texts = [fact["text"] for name, fact in data.items() if "factId" in fact and name not in closed]
    assert texts == ["now", "pong"]


def test_what_was_forgotten_is_not_sent_again(tmp_path: Path) -> None:
    """Nor does it come back with a number behind its id, once the file has been something else."""
    folder, store = tmp_path / "w", Store()
    write(folder, {"MEMORY.md": b"# M\n## S\nsecret\n"})
    store.migrate(folder)
    secret = next(iter(store.bodies))

    def ask(ids: Sequence[str]) -> Taken:
        return Taken(forgotten=frozenset(ids) & {secret})

    write(folder, {"MEMORY.md": b"# M\n## S\nother\n"})
    store.migrate(folder, ask=ask)
    write(folder, {"MEMORY.md": b"# M\n## S\nsecret\n"})
    steps = store.migrate(folder, ask=ask)
    assert sent(steps) == ["migration.long_term_memory"]
    assert sum(step.forgotten for step in steps) == 1


def test_words_that_were_forgotten_do_not_come_back_beside_others(folder: Path) -> None:
    """The beginning of a file whose sections are edited, and a fact that is closed."""
    store = Store()
    store.migrate(folder)
    gone = {
        event["id"]
        for body in store.bodies.values()
        if (event := json.loads(body))["payload"]["data"]
        .get("text", "")
        .startswith(("# Long-term", "Jane works at G"))
    }
    assert len(gone) == 2
    for event_id in gone:
        del store.bodies[event_id]
    write(folder, {"MEMORY.md": SAMPLE["MEMORY.md"] + b"\n## New\nMore.\n", **changed_facts()})
    steps = store.migrate(folder, ask=lambda ids: Taken(forgotten=frozenset(ids) & gone))
    texts = [outgoing.event.payload["data"].get("text", "") for step in steps for outgoing in step.outgoing]
    assert sorted(filter(None, texts)) == ["## New\nMore.\n", "## Preferences\nAgain.\n", "Jane has retired"]
    assert sum(step.forgotten for step in steps) == 2


def test_what_the_daemon_knows_is_not_sent(folder: Path) -> None:
    """An index that lags behind does not show it, but the daemon is asked as well."""
    steps = Store().migrate(folder, ask=lambda ids: Taken(known=frozenset(ids)))
    assert sent(steps) == []
    assert sum(step.present for step in steps) > len(SAMPLE)


def test_secrets_are_told_and_masked(tmp_path: Path) -> None:
    """Where they are and of what kind; with markers in place of them the rest is as it was."""
    text = f"# M\n\nThe key is {GITHUB}.\n"
    folder = write(tmp_path / "w", {
        "MEMORY.md": text.encode(),
        "life/areas/people/jane/items.json": json.dumps([{"fact": f"token {GITHUB}"}]).encode(),
    })  # fmt: skip
    plain, masked = Store(), Store()
    for store, redact in ((plain, False), (masked, True)):
        steps = store.migrate(folder, redact=redact)
        told = [(p.note.path, s.line, s.kind) for step in steps for p in step.plans for s in p.note.secrets]
        assert told == [
            (b"MEMORY.md", 3, "github-token"),
            (b"life/areas/people/jane/items.json", 1, "github-token"),
        ]
    assert rebuilt(plain.bodies.values())["MEMORY.md"] == text.encode()
    assert not any(GITHUB.encode() in body for body in masked.bodies.values())
    marked = text.replace(GITHUB, "[redacted:github-token]").encode()
    assert rebuilt(masked.bodies.values())["MEMORY.md"] == marked
    assert (
        of_type(masked.bodies.values(), "memory.fact")[0]["payload"]["data"]["text"]
        == "token [redacted:github-token]"
    )


def test_a_session_note_says_its_session(folder: Path) -> None:
    """So do its sections."""
    store = Store()
    store.migrate(folder)
    events = [json.loads(body) for body in store.bodies.values()]
    found = [e for e in events if e["payload"]["data"].get("path") == "memory/2026-04-25-1544.md"]
    assert len(found) == 2
    assert {event["session"] for event in found} == {"agent:main:telegram:42"}
    lead = next(event for event in found if event["type"] == "migration.daily_note")
    assert lead["timestamp"] == 1_777_131_840_000, "of its name"
    assert lead["payload"]["data"]["source"] == "telegram"
    assert lead["payload"]["data"]["sessionId"] == "0198c0de-1111-7000-8000-000000000001"


def test_a_large_note_is_cut_into_parts(tmp_path: Path) -> None:
    """At ends of lines; what is added to it changes its last part only."""
    lines = b"".join(b"line %d of many, many lines\n" % n for n in range(20_000))
    folder, store = write(tmp_path / "w", {"memory/log.md": lines}), Store()
    parts = len(sent(store.migrate(folder)))
    assert parts > 5
    texts = [json.loads(body)["payload"]["data"]["text"] for body in store.bodies.values()]
    assert all(text.endswith("\n") for text in texts)
    write(folder, {"memory/log.md": lines + b"one more\n"})
    assert sent(store.migrate(folder)) == ["migration.section", "migration.note"]
    write(folder, {"memory/log.md": lines[: len(lines) // 3]})
    store.migrate(folder)
    assert rebuilt(store.bodies.values()) == contents(folder)
    replaced = {
        old
        for body in store.bodies.values()
        for old in json.loads(body)["payload"]["data"].get("supersedes", ())
    }
    assert len(store.bodies) - len(replaced) < parts, "nothing of what was cut off is left to recall"


def test_a_note_of_very_many_sections_is_told_by_one_lead(tmp_path: Path) -> None:
    """Neighbours share an event, so that the lead has room for the names of all."""
    text = b"# Log\n" + b"".join(b"## Entry %d\nsomething\n" % n for n in range(30_000))
    folder, store = write(tmp_path / "w", {"memory/log.md": text}), Store()
    assert len(sent(store.migrate(folder))) < 50
    assert rebuilt(store.bodies.values()) == contents(folder)


_lines = st.lists(
    st.sampled_from(["## a", "## b", "# t", "x", "```", "~~~", "", " ## c", "\t## d"]), max_size=12
)


@settings(max_examples=60)
@given(versions=st.lists(st.tuples(_lines, st.sampled_from(["\n", "\r\n", "\r"])), min_size=1, max_size=5))
def test_any_course_of_edits_ends_as_the_file_is(
    tmp_path_factory: pytest.TempPathFactory, versions: list[tuple[list[str], str]]
) -> None:
    """After each edit one run adds what is new, a second one nothing, and the newest events say the file."""
    folder, store = tmp_path_factory.mktemp("w"), Store()
    for lines, end in versions:
        write(folder, {"memory/n.md": (end.join(lines) + "!").encode()})
        store.migrate(folder)
        assert sent(store.migrate(folder)) == []
        assert rebuilt(store.bodies.values()) == contents(folder)
