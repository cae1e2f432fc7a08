"""Rights and owners of the files that hold secrets or events."""

import stat
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from os import geteuid
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

if TYPE_CHECKING:
    from ..secret import Secret

from .. import paths
from ..config.settings import Config
from .model import Finding, Findings, Fix, Level, unmade

EVERYBODY = stat.S_IRWXO
ALL_OTHERS = stat.S_IRWXG | stat.S_IRWXO
TITLE = "files"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A file or folder that not everybody may use.

    Attributes:
        refused: Permissions that it must not have.
        ours: Whether eventd made it, so that it has to belong to the owner of the data folder.
    """

    path: Path
    what: str
    refused: int
    ours: bool = False


def examine_files(config: Config) -> tuple[Findings, list[Path]]:
    """Look at all of them; return also the files that others can use."""
    findings: Findings = []
    exposed: list[Path] = []
    hidden: list[str] = []
    looked = 0
    owner = _owner(config.data_dir)
    for file in (*_named(config), *_made(config.data_dir, config.embedded_store)):
        try:
            found = file.path.stat()
        except FileNotFoundError:
            continue
        except OSError:
            hidden.append(str(file.path))
            continue
        looked += 1
        if too_much := stat.S_IMODE(found.st_mode) & file.refused:
            exposed.append(file.path)
            findings.append(_exposed(file, found.st_mode, too_much, mine=found.st_uid == geteuid()))
        if file.ours and owner is not None and found.st_uid != owner:
            findings.append(_of_another(file, found.st_uid, owner))
    if hidden:
        findings.append(
            unmade(
                "config.files", TITLE, f"this user may not look at {', '.join(hidden)}",
                "run it as the user that eventd runs as, or as root",
            )
        )  # fmt: skip
    if looked and not findings:
        text = f"{looked} with secrets or events, for nobody else"
        findings.append(Finding("config.files", Level.OK, TITLE, text))
    return findings, exposed


def _named(config: Config) -> Iterator[Guarded]:
    """Yield what the configuration names. A group may be meant: it is eventd's own, say."""
    secrets: list[Secret | None] = []
    for route in config.routes.all():
        login, tls = route.server.credentials, route.server.tls
        secrets += [login.password, login.token, login.nkey_seed]
        if login.creds_file is not None:
            yield Guarded(login.creds_file, "credentials", EVERYBODY)
        if tls is not None and tls.key_file is not None:
            yield Guarded(tls.key_file, "a private key", EVERYBODY)
    secrets += [rule.token for rule in config.access.agents.values()]
    held = [secret for secret in secrets if secret is not None]
    for path in {secret.path for secret in held if secret.path is not None}:
        yield Guarded(path, "a secret", EVERYBODY)
    if config.source is not None:
        by_value = any(secret.path is None for secret in held)
        refused = EVERYBODY if by_value else stat.S_IWOTH
        yield Guarded(config.source, "secrets" if by_value else "the configuration", refused)


def _made(data: Path, store: Path) -> Iterator[Guarded]:
    yield Guarded(data, "everything of eventd's", stat.S_IWGRP | stat.S_IWOTH, ours=True)
    for database in (paths.outbox_file(data), paths.index_file(data)):
        for suffix in ("", "-wal", "-shm"):
            path = database.with_name(database.name + suffix)
            yield Guarded(path, "events", ALL_OTHERS, ours=True)
    yield Guarded(paths.admin_token_file(data), "the administrator's token", ALL_OTHERS, ours=True)
    tokens = paths.token_folder(data)
    yield Guarded(tokens, "tokens of agents", ALL_OTHERS, ours=True)
    yield Guarded(store, "the embedded server's streams", ALL_OTHERS, ours=True)
    yield Guarded(store / "client.nk", "the embedded server's key", ALL_OTHERS, ours=True)


def _owner(folder: Path) -> int | None:
    try:
        return folder.stat().st_uid
    except OSError:
        return None


def _exposed(file: Guarded, mode: int, too_much: int, *, mine: bool) -> Finding:
    who = "everybody on this machine" if too_much & EVERYBODY else "its group"
    can = "change" if too_much & (stat.S_IWGRP | stat.S_IWOTH) else "use"
    verb = "read" if can == "use" else "change"
    change = f"chmod {'go' if file.refused & stat.S_IRWXG else 'o'}-{_letters(file.refused)} {file.path}"
    return Finding(
        "config.files",
        Level.WARNING if can == "use" else Level.PROBLEM,
        TITLE,
        f"{who} can {verb} {file.path} (mode {stat.S_IMODE(mode):04o}), which holds {file.what}",
        change if mine else f"sudo {change}",
        fix=Fix(change, _chmod(file.path, file.refused)) if mine or geteuid() == 0 else None,
    )


def _letters(refused: int) -> str:
    return "rwx" if refused & (stat.S_IRGRP | stat.S_IROTH) else "w"


def _chmod(path: Path, refused: int) -> Callable[[], Awaitable[str]]:
    def change() -> str:
        mode = stat.S_IMODE(path.stat().st_mode) & ~refused
        path.chmod(mode)
        return f"{path} has mode {mode:04o} now"

    async def apply() -> str:
        return await anyio.to_thread.run_sync(change)

    return apply


def _of_another(file: Guarded, uid: int, owner: int) -> Finding:
    return Finding(
        "config.files",
        Level.PROBLEM,
        TITLE,
        f"{file.path} belongs to uid {uid}, its folder to uid {owner}: the daemon cannot write it; "
        "somebody has run eventd as another user",
        f"sudo chown -R {owner} {file.path.parent}",
    )
