"""What importing a client costs: programs that only send events must start fast and need little."""

import subprocess
import sys

import pytest

import eventd_ipc

NEVER = {
    "eventd": "clients work where the daemon is not installed",
    "nats": "the daemon alone speaks NATS; importing it takes longer than sending an event",
    "watchfiles": "only the daemon watches its configuration",
    "apsw": "only the daemon has databases",
    "click": "only the command line needs it",
    "rich": "only the command line draws",
}
NO_LOOP = {
    "asyncio": "importing it takes longer than sending an event",
    "anyio": "only the asynchronous client needs it",
    "platformdirs": "only needed where no usual folder is there",
    "uuid_utils": "only needed once an id is made",
}


def imported_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after a statement."""
    program = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import eventd_ipc", NEVER | NO_LOOP | {"msgspec": "nothing is imported before it is used"}),
        ("from eventd_ipc import EventLog", NEVER | NO_LOOP),
        ("import eventd_ipc.blocking", NEVER | NO_LOOP),
        ("import eventd_ipc.builders", NEVER | NO_LOOP),
        ("from eventd_ipc import connect", NEVER),
    ],
)
def test_import_pulls_in_only_what_it_needs(statement: str, forbidden: dict[str, str]) -> None:
    found = imported_by(statement) & set(forbidden)
    assert not found, {name: forbidden[name] for name in found}


def test_public_names_are_there() -> None:
    assert "eventd_ipc" in imported_by("from eventd_ipc import *\nimport eventd_ipc")


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = eventd_ipc.nonsense
