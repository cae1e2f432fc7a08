"""Tokens: made, kept as hashes, compared in constant time; and the file that holds the administrator's.

A token that eventd makes has 256 random bits, so a plain SHA-256 of it cannot be turned back by guessing.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote_to_bytes

from ..errors import EventdError
from ..secret import HASHED, lines_of

logger = logging.getLogger(__name__)

TOKEN_BYTES = 32
TOKEN_PREFIX = "evt_"  # noqa: S105 - so that people and secret scanners know one when they see it
_OTHER = re.compile(rb"[^a-z0-9_-]")

FILE_MODE = 0o600
FOLDER_MODE = 0o700
OTHERS = 0o077  # permissions of everybody but the owner


class TokensUnusable(EventdError):
    """A file with tokens cannot be read or written. Who needs it to prove a name is refused."""


def new_token() -> str:
    """Return a fresh random token."""
    return TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: str) -> str:
    """Return a token's SHA-256 in hex."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def is_known(digest: str, lines: Iterable[str]) -> bool:
    """Whether a token is one of those in the lines of a file, each plain or hashed; all are compared."""
    known = False
    for line in lines:
        expected = line.removeprefix(HASHED).lower() if line.startswith(HASHED) else digest_of(line)
        known |= hmac.compare_digest(digest.encode(), expected.encode())
    return known


@dataclass(frozen=True, slots=True)
class Entry:
    """An agent that has to show a token made here.

    Attributes:
        tokens: How many are good for it; with none it is locked out.
        changed: When that was last changed, Unix seconds.
    """

    agent: str
    tokens: int
    changed: float


class TokenFolder:
    """Hashes of the tokens that `eventd token` has made: a file for each agent, read afresh at each hello.

    An agent with a file needs a token, also when the file is empty or unreadable. A second file beside the
    folder remembers that there are any: should the folder get lost, nobody is let in for want of rules.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def agents(self) -> set[str]:
        """Return the agents that have a file; the names of other files are passed over.

        Raises:
            TokensUnusable: The folder is there and cannot be read.
        """
        try:
            names = [file.name for file in self.path.iterdir()]
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise _unusable("read", self.path, error) from error
        return {agent for name in names if (agent := _agent_of(name)) is not None}

    def needed(self) -> set[str]:
        """Return the agents that need a token from here.

        Raises:
            TokensUnusable: The folder cannot be read, or it has got lost.
        """
        agents = self.agents()
        if not agents and self.reminder.exists():
            raise TokensUnusable(
                f"the tokens in {self.path} have got lost",
                hint=f"make new ones with `eventd token new`, or remove {self.reminder} to do without",
            )
        return agents

    @property
    def reminder(self) -> Path:
        """The file that is there as long as any agent needs a token from here."""
        return self.path.with_suffix(".made")

    def lines(self, agent: str) -> list[str] | None:
        """Return the hashes for an agent; None where it has no file.

        Raises:
            TokensUnusable: The file cannot be read.
        """
        try:
            return lines_of(self._file(agent).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable("read", self._file(agent), error) from error

    def entries(self) -> list[Entry]:
        """Return what is known of each agent, by name.

        Raises:
            TokensUnusable: A file cannot be read.
        """
        found: list[Entry] = []
        for agent in sorted(self.agents()):
            lines = self.lines(agent)
            with suppress(FileNotFoundError):  # dropped just now
                changed = self._file(agent).stat().st_mtime
                found.append(Entry(agent, len(lines or ()), changed))
        return found

    def make(self, agent: str, *, keep: bool = False) -> str:
        """Make a token for an agent and return it; only its hash is kept.

        Args:
            keep: Whether the tokens it has stay good, so that a program can change over.

        Raises:
            TokensUnusable: The file cannot be written.
        """
        token = new_token()
        self._write(agent, [*((self.lines(agent) or []) if keep else []), HASHED + digest_of(token)])
        return token

    def revoke(self, agent: str) -> None:
        """Take all tokens of an agent away; it stays locked out until it gets a new one.

        Raises:
            TokensUnusable: The file cannot be written.
        """
        self._write(agent, [])

    def drop(self, agent: str) -> bool:
        """Forget that an agent needs a token from here; return whether it did.

        Raises:
            TokensUnusable: The file cannot be removed.
        """
        try:
            self._file(agent).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unusable("remove", self._file(agent), error) from error
        if not self.agents():
            self.reminder.unlink(missing_ok=True)
        return True

    def _write(self, agent: str, lines: list[str]) -> None:
        try:
            if not self.path.is_dir():
                self.path.mkdir(FOLDER_MODE)
                descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    _give_to_owner(descriptor, self.path.parent)
                finally:
                    os.close(descriptor)
            write_private(
                self.reminder, "Some agents have tokens; should these get lost, nobody is let in.\n"
            )
            made = datetime.now(UTC).isoformat(timespec="seconds")
            write_private(self._file(agent), "\n".join([f"# {agent}, changed {made}", *lines, ""]))
        except OSError as error:
            raise _unusable("write", self._file(agent), error) from error

    def _file(self, agent: str) -> Path:
        return self.path / _name_of(agent)


class AdminToken:
    """The token that makes an administrator of who shows it, in a file for the daemon's user only."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def ensure(self) -> None:
        """Make it, unless it is there.

        Raises:
            TokensUnusable: It can be neither read nor made.
        """
        try:
            if not self.path.exists():
                write_private(self.path, f"{new_token()}\n")
        except OSError as error:
            raise _unusable("write", self.path, error) from error

    def warn_if_exposed(self) -> None:
        """Tell that others can read or write it, as after a careless restore."""
        with suppress(OSError):
            if self.path.stat().st_mode & OTHERS:
                logger.warning(
                    "others can read or write the administrator's token, %s", self.path,
                    extra={
                        "action": "admin_token_exposed",
                        "hint": f"remove it, and eventd makes a new one; or chmod go-rwx {self.path}",
                    },
                )  # fmt: skip

    def lines(self) -> list[str]:
        """Return the tokens that are good now; none where there is no file.

        Raises:
            TokensUnusable: The file cannot be read.
        """
        try:
            return lines_of(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable("read", self.path, error) from error


def write_private(path: Path, text: str) -> None:
    """Write a file for its owner only, as a whole or not at all."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
            _give_to_owner(descriptor, path.parent)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _give_to_owner(descriptor: int, folder: Path) -> None:
    """Let root write for the daemon: what is made belongs to the owner of the folder that it is in.

    By its descriptor, so that this owner cannot put a link to something of root's in its place meanwhile.
    """
    owner = folder.stat()
    if os.geteuid() == 0 and (owner.st_uid, owner.st_gid) != (0, 0):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _name_of(agent: str) -> str:
    """Return the name of an agent's file. Some disks take capitals for small letters, so they are encoded."""
    return _OTHER.sub(lambda match: b"%%%02X" % match[0][0], agent.encode()).decode("ascii")


def _agent_of(name: str) -> str | None:
    try:
        agent = unquote_to_bytes(name).decode()
    except UnicodeDecodeError:
        return None
    return agent if agent and _name_of(agent) == name else None


def _unusable(what: str, path: Path, error: Exception) -> TokensUnusable:
    reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "it is no text"
    return TokensUnusable(
        f"cannot {what} {path}: {reason}",
        hint="only the daemon's user and root can; check its owner and mode",
    )
