"""The file of `eventd init`: it loads, it is complete, and it tells the truth about defaults."""

import re
import stat
from itertools import groupby
from pathlib import Path

import msgspec
import pytest

from eventd.config.load import default_config, load_file, load_text
from eventd.config.schema import (
    AdminSection,
    AgentSection,
    EmbeddedSection,
    EventStore,
    LogSection,
    MetricsSection,
    OutboxSection,
    PlacementSection,
    SocketSection,
    StreamSection,
    TlsSection,
)
from eventd.config.template import template, write_template
from eventd.errors import ConfigError

SETTING = re.compile(r"( +)#((?: {2,})?[A-Za-z-]+:.*)")  # `# ` begins a remark, `#  ` a nested key
LINES = template().splitlines()
GROUPS = [  # settings that stand together are switched on together
    list(numbers)
    for is_setting, numbers in groupby(
        range(len(LINES)), key=lambda number: SETTING.match(LINES[number]) is not None
    )
    if is_setting
]
URL = next(number for number, line in enumerate(LINES) if "#url:" in line)
NEED_URL = (
    *("user", "natsToken", "credsFile", "nkeySeed", "caFile", "certFile", "serverName", "jsDomain"),
    "cluster",
)
NO_DEFAULT = (
    *NEED_URL,
    *("keyFile", "password", "serverPath", "storeDir", "path", "dataDir", "mode", "listen"),
    *("assistant-one", "assistant-two", "maxEventsPerSecond", "allowUids"),
)
ENVIRON = dict.fromkeys(
    ("NATS_PASSWORD", "NATS_TOKEN", "NATS_NKEY_SEED", "ASSISTANT_ONE_PASSWORD", "ASSISTANT_TWO_TOKEN"),
    "secret",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("eventd.creds", "ca.pem", "client.pem", "client-key.pem", "nats-server"):
        (tmp_path / name).touch(mode=0o700)
    return tmp_path


def keys_of(group: list[int]) -> list[str]:
    return [LINES[number].strip(" #").partition(":")[0] for number in group]


def switched_on(numbers: list[int], folder: Path) -> str:
    lines = list(LINES)
    for number in numbers:
        lines[number] = SETTING.sub(r"\1\2", lines[number])
    return "\n".join(lines).replace("/usr/local/bin/nats-server", str(folder / "nats-server"))


def test_as_it_is_it_means_the_same_as_no_file() -> None:
    """`eventd init` changes nothing until a person does."""
    assert load_text(template(), None, {}) == default_config({})


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: " ".join(keys_of(group)))
def test_each_setting_loads_when_it_is_switched_on(group: list[int], folder: Path) -> None:
    """Taking a # away is all that it takes (and a url, for what only makes sense with one)."""
    numbers = list(group)
    text = switched_on(numbers, folder)
    if keys_of(group)[0] in NEED_URL:
        text = switched_on([*numbers, URL], folder).replace("url: embedded", "url: nats://h")
    load_text(text, folder / "config.yml", ENVIRON)


def test_every_default_that_it_shows_is_the_default(folder: Path) -> None:
    """All of them at once change nothing."""
    numbers = [number for group in GROUPS if keys_of(group)[0] not in NO_DEFAULT for number in group]
    assert load_text(switched_on(numbers, folder), None, {}) == default_config({})


def test_it_knows_every_setting() -> None:
    """A setting that is not in the file is one that nobody finds."""
    sections = (
        EventStore,
        AgentSection,
        AdminSection,
        TlsSection,
        StreamSection,
        PlacementSection,
        OutboxSection,
        EmbeddedSection,
        SocketSection,
        LogSection,
        MetricsSection,
    )
    names = {field.encode_name for section in sections for field in msgspec.structs.fields(section)}
    assert {name for name in names if not re.search(rf"\b{name}\b", template())} == set()


def test_it_fits_on_a_screen() -> None:
    """No line is wrapped in an ordinary terminal."""
    assert max(map(len, LINES)) <= 110


def test_it_is_written_for_its_owner_only_and_never_over_another(tmp_path: Path) -> None:
    """People put passwords into it, and nobody's file is lost."""
    path = tmp_path / "new" / "folder" / "config.yml"
    write_template(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_file(path, {}).routes == default_config().routes
    path.write_text("mine")
    with pytest.raises(ConfigError, match="already; it was left as it is"):
        write_template(path)
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """Whatever the system refuses is told with its reason."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot write .*: Not a directory"):
        write_template(tmp_path / "file" / "below" / "config.yml")
