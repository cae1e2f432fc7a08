"""What differs between two configurations is told in the words of the file, and without secrets."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from eventd.config.load import load_text
from eventd.config.settings import Config
from eventd.reload.changes import NEEDS_RESTART, as_far_as_possible, changes_between

URL = {"url": "nats://127.0.0.1:4222"}


def config(**settings: Any) -> Config:
    return load_text(yaml.safe_dump({"gateway": {"eventStore": settings}}), environ={})


def told(before: Config, after: Config) -> list[str]:
    return [str(change) for change in changes_between(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({}, {"enabled": False}, ["enabled: true → false"]),
        ({}, {"outbox": {"retain": "9s", "maxBytes": "5MiB"}},
         ["outbox.maxBytes: 1GiB → 5MiB", "outbox.retain: 5m → 9s"]),
        ({}, {"log": {"level": "debug"}}, ["log.level: info → debug"]),
        ({}, {"metrics": {"listen": "127.0.0.1:9000"}}, ["metrics.listen: not set → 127.0.0.1:9000"]),
        (URL, {"url": "nats://127.0.0.1:4223"}, ["url: nats://127.0.0.1:4222 → nats://127.0.0.1:4223"]),
        ({"maxEventsPerSecond": 5}, {}, ["maxEventsPerSecond: 5.0 → not set", "burst: 10 → not set"]),
        ({}, {"agents": {"a.b": {"enabled": False}}}, ["agents['a.b']: added"]),
        ({"agents": {"tim": {}}}, {}, ["agents.tim: removed"]),
        ({"agents": {"t": {}}}, {"agents": {"t": {"canRead": ["b", "a"]}}},
         ["agents.t.canRead: not set → a, b"]),
        (
            {"agents": {"tim": {}, "bob": {}}},
            {"agents": {"bob": {"streamName": "own"}}},
            [
                "agents.tim: removed",
                "agents.bob.streamName: openclaw-events → own",
                "agents.bob.subjectPrefix: openclaw.events → openclaw.events.bob",
            ],
        ),
    ],
)  # fmt: skip
def test_what_is_told(before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    changes = told(config(**before), config(**after))
    assert [change for change in changes if not change.startswith("burst")] == [
        text for text in expected if not text.startswith("burst")
    ]


@pytest.mark.parametrize(
    ("keys", "told_as"),
    [
        ({"user": "u", "password": "{}"}, "password"),
        ({"natsToken": "{}"}, "natsToken"),
        ({"url": "nats://u:{}@127.0.0.1:4222"}, "password"),
        ({"agents": {"tim": {"token": "{}"}}}, "agents.tim.token"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_secret_has_changed_and_is_not_shown(keys: dict[str, Any], told_as: str) -> None:
    def with_secret(secret: str) -> Config:
        text = msgspec.json.encode(URL | keys).decode().replace("{}", secret)
        return config(**msgspec.json.decode(text))

    before, after = with_secret("0ld-s3cret"), with_secret("n3w-s3cret")
    assert told(before, after) == [f"{told_as}: changed"]
    assert "s3cret" not in str(changes_between(with_secret("0ld-s3cret"), config(**URL)))
    assert told(before, with_secret("0ld-s3cret")) == []


def test_a_secret_moves_into_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("p4ss")
    file.chmod(0o600)
    before = config(**URL, user="u", password="p4ss")
    after = config(**URL, user="u", passwordFile=str(file))
    assert told(before, after) == ["password: ******** → not set", f"passwordFile: not set → {file}"]


def test_what_cannot_change_stays(tmp_path: Path) -> None:
    running = config(**URL, dataDir=str(tmp_path / "a"), socket={"path": str(tmp_path / "s"), "mode": "0600"})
    wanted = config(
        dataDir=str(tmp_path / "b"),
        socket={"path": str(tmp_path / "t"), "mode": "0660", "maxEvents": 5},
        embedded={"storeDir": str(tmp_path / "c")},
    )
    possible = as_far_as_possible(running, wanted)
    assert {change.key for change in changes_between(possible, wanted)} <= set(NEEDS_RESTART)
    assert possible.data_dir == tmp_path / "a"
    assert possible.socket.max_events == 5
    assert [c.key for c in changes_between(running, possible)] == ["url", "socket.maxEvents"]
