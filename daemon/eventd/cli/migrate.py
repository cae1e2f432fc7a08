"""`eventd migrate`: moves the memory files that people have into the store, and out of it again."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .exits import ExitCode
from .options import AGENT_VARIABLE, Duration, file_type, json_option, option
from .output import notice, print_json, print_line
from .place import DEFAULT_AGENT, Place

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client

    from ..migration.run import Taken
    from ..migration.state import State
    from ..migration.workspace import Workspace

LOOK_AGAIN = 0.2  # seconds between two looks at an index that is being built
OFFLINE_EVENT = 2**20  # bytes of an event that are taken to fit where no daemon says so

EPILOG = """\b
Examples:
  eventd migrate --dry-run
  eventd migrate
  eventd migrate --workspace ~/.openclaw/workspace-work --agent work --redact
  eventd migrate --write-back ./memories

It reads memory/, MEMORY.md and life/ of an OpenClaw workspace, and changes nothing there. Files are kept byte
for byte. Another run adds what has changed since; what it replaces stays stored and is not recalled any more.
"""


@click.command("migrate", epilog=EPILOG)
@option("--workspace", type=file_type, metavar="DIR", help="The workspace.  [default: all that are found]")
@option(
    "--agent",
    envvar=AGENT_VARIABLE,
    metavar="NAME",
    help="Whose memory it is.  [default: as the workspace's name says, else main]",
)
@option("--dry-run", is_flag=True, help="Store nothing; show what would be added.")
@option(
    "--redact",
    is_flag=True,
    help="Put markers like [redacted:github-token] in place of secrets; what is stored already stays.",
)
@option(
    "--write-back",
    type=file_type,
    metavar="DIR",
    help="Write the stored files into this folder, which is new or empty.",
)
@option(
    "--wait",
    type=Duration(),
    default="30s",
    show_default=True,
    help="How long to try again when the daemon is full, away, or still reads its streams.",
)
@json_option
@click.pass_obj
def command(
    place: Place,
    workspace: Path | None,
    agent: str | None,
    dry_run: bool,
    redact: bool,
    write_back: Path | None,
    wait: float,
    as_json: bool,
) -> ExitCode:
    """Move an agent's memory files into the store.

    Every file is kept whole, as one event for its beginning and one for each section; lists of facts also as
    facts. It can be stopped and run again at any time: nothing is stored twice.
    """
    if agent is not None:
        from eventd_ipc.strict import agent_fault

        if (fault := agent_fault(agent)) is not None:
            raise click.UsageError(fault)
    if write_back is not None:
        if workspace or dry_run or redact:
            raise click.UsageError("--write-back goes with --agent, --wait and --json only")
        return _write_back(place, agent or DEFAULT_AGENT, write_back, wait, as_json=as_json)
    found = _workspaces(workspace, agent)
    codes = [
        _Run(place, each, each.agent or agent or DEFAULT_AGENT, wait, dry=dry_run, redact=redact).go(as_json)
        for each in found
    ]
    return max(codes)


class _Run:
    """One workspace."""

    def __init__(
        self, place: Place, workspace: "Workspace", agent: str, wait: float, *, dry: bool, redact: bool
    ) -> None:
        self._place = place
        self._folder = workspace.folder
        self._agent = agent
        self._wait = wait
        self._dry = dry
        self._redact = redact

    def go(self, as_json: bool) -> ExitCode:
        """Migrate it, and print what came of that."""
        from eventd_ipc.builders import now

        from ..migration.run import Migration, hashes
        from ..migration.state import State, origin_of
        from ..migration.walk import walk
        from .bulk import Sender, item_of
        from .migrate_view import Progress

        client = self._connected()
        state = State() if client is None else _state(client, self._agent, self._wait)
        max_event = OFFLINE_EVENT if client is None else client.welcome.limits.max_event
        files = walk(self._folder)
        stored = state.workspace_of(self._folder, hashes(files))
        origin = origin_of(self._agent, stored, self._folder)
        migration = Migration(files, origin, stored, now(), max_event=max_event, redact=self._redact)
        label = {"workspace": os.fsencode(self._folder).decode("utf-8", "replace"), "agent": self._agent}
        progress = Progress(label, files.size, dry=self._dry, as_json=as_json)
        try:
            with progress:
                for skipped in files.skipped:
                    progress.skip(skipped)
                if client is None:
                    for step in migration.steps(_ask_nobody):
                        progress.take(step)
                else:
                    sender = Sender(self._place, client, self._agent, progress, self._wait)
                    try:
                        for step in migration.steps(
                            lambda ids: sender.ask(lambda client: _taken(client, self._agent, ids))
                        ):
                            progress.take(step)
                            if not self._dry:
                                sender.send(item_of(outgoing, outgoing.event) for outgoing in step.outgoing)
                        sender.flush()
                    finally:
                        sender.close()
                progress.lose(migration.gone())
        finally:
            progress.close()
        return ExitCode.REFUSED if progress.refused or progress.unread else ExitCode.OK

    def _connected(self) -> "Client | None":
        from eventd_ipc.errors import NotRunning

        try:
            return self._place.connect(self._agent)
        except NotRunning as error:
            if not self._dry:
                raise
            notice(f"{error.args[0]}; so what is stored already is not known")
            return None


def _workspaces(folder: Path | None, agent: str | None) -> "Sequence[Workspace]":
    """Return the workspaces that are meant.

    Raises:
        NothingFound: There is none.
    """
    from ..errors import NothingFound
    from ..migration.workspace import Workspace, agent_of, find, state_of

    if folder is not None:
        if state := state_of(folder):
            raise NothingFound(f"there is nothing to migrate in {folder}: {state}")
        return [Workspace(folder, agent or agent_of(folder))]
    search = find(Path.home(), os.environ)
    wanted = search.found
    if agent is not None and len(wanted) == 1 and wanted[0].agent is None:
        wanted = [Workspace(wanted[0].folder, agent)]
    elif agent is not None:  # nobody is given what is found of somebody else
        wanted = [workspace for workspace in wanted if (workspace.agent or DEFAULT_AGENT) == agent]
    if not wanted:
        looked = "\n".join(f"  {path}: {state}" for path, state in search.places)
        whose = f" of agent {agent}" if agent is not None and search.found else ""
        raise NothingFound(
            f"nothing found: there is no workspace{whose} with memories; looked at:\n{looked}",
            hint="name the folder: eventd migrate --workspace DIR",
        )
    if len(wanted) > 1:
        for workspace in wanted:
            notice(f"found {workspace.folder}, of agent {workspace.agent or DEFAULT_AGENT}")
    return wanted


def _state(client: "Client", agent: str, wait: float) -> "State":
    """Return what is stored, when the daemon knows all of it.

    Raises:
        IndexUnusable: It does not get to know it.
    """
    from ..errors import IndexUnusable
    from ..migration.stored import read_state

    deadline = time.monotonic() + wait
    while "known" in client.welcome.can and not client.known(agent, [])["complete"]:
        if time.monotonic() >= deadline:
            raise IndexUnusable(
                "the daemon has not read all of its streams yet, so it cannot say what is stored already",
                hint="see `eventd status` and `eventd index status`, and run this again when NATS is there",
            )
        time.sleep(LOOK_AGAIN)
    return read_state(client, agent)


def _taken(client: "Client", agent: str, ids: Sequence[str]) -> "Taken":
    from ..migration.run import Taken

    if "known" not in client.welcome.can:  # a daemon from before; what its index has is known all the same
        return Taken()
    answer = client.known(agent, ids)
    return Taken(frozenset(answer["known"]), frozenset(answer["forgotten"]))


def _ask_nobody(ids: Sequence[str]) -> "Taken":
    from ..migration.run import Taken

    return Taken()


def _write_back(place: Place, agent: str, target: Path, wait: float, *, as_json: bool) -> ExitCode:
    from ..errors import NothingFound
    from ..migration.writeback import prepare, write_back
    from .figures import count, size
    from .output import neutral

    files = total = problems = 0
    with place.connect(agent) as client:
        state = _state(client, agent, wait)
        if not state.workspaces:
            raise NothingFound(f"no files of agent {agent} are stored")
        prepare(target)
        for written in write_back(client, agent, state, target):
            if as_json:
                print_json({"path": written.path, "bytes": written.size, "problem": written.problem or None})
            elif written.problem:
                notice(neutral(f"{written.path}: not written: {written.problem}"))
            problems += bool(written.problem)
            files += not written.problem
            total += written.size
    if as_json:
        print_json({"summary": {"agent": agent, "files": files, "bytes": total, "problems": problems}})
    else:
        print_line(f"wrote {count(files, 'file')} ({size(total)}) into {target}")
    return ExitCode.FAILED if problems else ExitCode.OK
