"""Reads the data sets into one form: conversations of turns, and questions with the turns that answer."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eventd_ipc.builders import Run, message_in, message_out
from eventd_ipc.events import Event

TURN = 30_000  # ms between two turns; the sets have times of sessions only
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}


@dataclass(slots=True)
class Turn:
    """Something that was said.

    Attributes:
        time: Unix ms.
        speaker: Name; "" where the set has roles only.
        mine: Whether the agent said it.
    """

    id: str
    session: str
    time: int
    speaker: str
    mine: bool
    text: str


@dataclass(slots=True)
class Question:
    """A question, the ids of the turns that hold its answer, and their sessions."""

    text: str
    kind: str
    evidence: frozenset[str]
    sessions: frozenset[str]


@dataclass(slots=True)
class Conversation:
    """One agent's memory, and what is asked of it."""

    agent: str
    turns: list[Turn] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def events(self) -> Iterator[Event]:
        """Return the turns as an agent would have emitted them."""
        run = Run("")
        for turn in self.turns:
            run.session = turn.session
            build = message_out if turn.mine else message_in
            event = build(run, turn.text, **({"from": turn.speaker} if turn.speaker else {}))
            event.id, event.timestamp, event.agent = turn.id, turn.time, self.agent
            event.payload["ts"] = turn.time
            yield event


def read(path: Path) -> list[Conversation]:
    """Read a file of either format."""
    if path.suffix == ".json":
        return [_locomo(sample) for sample in json.loads(path.read_text())]
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return [_longmemeval(json.loads(line)) for line in lines]


def _longmemeval(instance: dict[str, Any]) -> Conversation:
    conversation = Conversation(f"lme-{instance['question_id']}")
    evidence = set()
    sessions = zip(
        instance["haystack_session_ids"],
        instance["haystack_dates"],
        instance["haystack_sessions"],
        strict=True,
    )
    for number, (name, date, said) in enumerate(sessions):
        session = f"agent:{conversation.agent}:{number}-{name}"
        start = _ms(datetime.strptime(date, "%Y/%m/%d (%a) %H:%M"))  # noqa: DTZ007 - taken as UTC
        for i, turn in enumerate(said):
            one = Turn(
                f"{conversation.agent}/{number}/{i}",
                session,
                start + i * TURN,
                "",
                turn["role"] == "assistant",
                turn["content"],
            )
            conversation.turns.append(one)
            if turn.get("has_answer"):
                evidence.add(one.id)
    _ask(conversation, instance["question"], instance["question_type"], evidence)
    return conversation


def _locomo(sample: dict[str, Any]) -> Conversation:
    conversation = Conversation(f"locomo-{sample['sample_id']}")
    talk = sample["conversation"]
    known = {}
    for number in range(1, len(talk)):
        session = f"agent:{conversation.agent}:{number}"
        said = talk.get(f"session_{number}")
        if not said:
            continue
        date = talk[f"session_{number}_date_time"]
        start = _ms(datetime.strptime(date, "%I:%M %p on %d %B, %Y"))  # noqa: DTZ007 - taken as UTC
        for i, turn in enumerate(said):
            caption = turn.get("blip_caption")
            text = f"{turn['text']} [photo: {caption}]" if caption else turn["text"]
            known[turn["dia_id"]] = f"{conversation.agent}/{turn['dia_id']}"
            conversation.turns.append(
                Turn(known[turn["dia_id"]], session, start + i * TURN, turn["speaker"], False, text)
            )
    for question in sample["qa"]:
        named = re.findall(r"D\d+:\d+", " ".join(question.get("evidence", ())))
        evidence = {known[one] for one in named if one in known}
        kind = f"{question['category']} {CATEGORIES[question['category']]}"
        _ask(conversation, question["question"], kind, evidence)
    return conversation


def _ask(conversation: Conversation, text: str, kind: str, evidence: set[str]) -> None:
    """Add a question; one without evidence is left out, nothing can be found for it."""
    if evidence:
        sessions = frozenset(turn.session for turn in conversation.turns if turn.id in evidence)
        conversation.questions.append(Question(text, kind, frozenset(evidence), sessions))


def _ms(time: datetime) -> int:
    return int(time.replace(tzinfo=UTC).timestamp() * 1000)
