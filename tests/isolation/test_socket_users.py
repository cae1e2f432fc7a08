"""Unix users that share a daemon: for real, with processes of theirs."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isolation.socket_support import log_lines
from support.daemon import Daemon
from support.users import FIRST_USER, become, only_root, run_as

pytestmark = only_root

NO_SERVER = "nats://127.0.0.1:1"  # nothing is shipped here
SERVICE, ALICE, BOB, MALLORY = range(FIRST_USER, FIRST_USER + 4)
TEAM, OTHERS = 60_100, 60_101  # groups: alice and bob are in the one, mallory in the other

ENTER = """
import sys
from eventd_ipc.blocking import connect
from eventd_ipc.errors import EventdClientError
for agent in sys.argv[2:]:
    try:
        with connect(agent, socket=sys.argv[1], patience=0) as client:
            print(agent, client.welcome.proof, client.welcome.admin)
    except EventdClientError as error:
        print(agent, type(error).__name__)
"""

COMMAND = """
import sys
from eventd.cli.main import main
sys.exit(main())
"""

OWN_CONFIG = f"""
import os, sys
os.chown(sys.argv[sys.argv.index("--config") + 1], {SERVICE}, {SERVICE})
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of root's where everybody may look, as /run."""
    folder = Path(tempfile.mkdtemp(prefix="ev", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def service(folder: Path, **settings: Any) -> Daemon:
    """Return a daemon of a user of its own, whom root gives a folder for the socket and one for the data.

    As a system service with `User=`, `RuntimeDirectory=` and `StateDirectory=`.
    """
    mutation = OWN_CONFIG + become(SERVICE, groups=(TEAM,))
    daemon = Daemon(folder, {"url": NO_SERVER, **settings}, mutation=mutation)
    for place, mode in ((daemon.socket.parent, 0o755), (daemon.data, 0o700)):
        place.mkdir()
        place.chmod(mode)
        os.chown(place, SERVICE, SERVICE)
    return daemon


def enter(
    daemon: Daemon, *agents: str, uid: int, gid: int | None = None, groups: tuple[int, ...] = ()
) -> dict[str, str]:
    """Say hello as agents, as another user; return what came of each."""
    told = run_as(ENTER, daemon.socket, *agents, uid=uid, gid=gid, groups=groups)
    return {agent: came for agent, _, came in (line.partition(" ") for line in told.splitlines())}


def options(daemon: Daemon) -> list[str]:
    return ["--config", str(daemon.folder / "config.yml"), "--socket", str(daemon.socket)]


def as_root(daemon: Daemon, *args: str) -> subprocess.CompletedProcess[str]:
    """Run `eventd` as root."""
    command = [sys.executable, "-m", "eventd", *options(daemon), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def as_user(daemon: Daemon, *args: str, uid: int, groups: tuple[int, ...] = ()) -> str:
    """Run `eventd` as another user; return what it prints."""
    return run_as(COMMAND, *options(daemon), *args, uid=uid, groups=groups)


def owner(path: Path) -> tuple[int, int, int]:
    """Return whose a file is, and its permissions."""
    found = path.stat()
    return found.st_uid, found.st_gid, found.st_mode & 0o777


def test_the_kernel_says_who_a_process_is(folder: Path) -> None:
    """Its user, its group or any other of its groups prove an agent; a name, or being root, does not."""
    users = {"alice": {"allowUids": [ALICE]}, "both": {"allowUids": [ALICE, BOB]}}
    agents = {**users, "team": {"allowGids": [TEAM]}}
    refused = "Unauthorised"
    with service(folder, agents=agents, admin={"allowUids": [BOB]}, socket={"mode": "0666"}) as daemon:
        assert enter(daemon, "alice", "both", "team", "other", uid=ALICE) == {
            "alice": "peer False", "both": "peer False", "team": refused, "other": refused,
        }  # fmt: skip
        assert enter(daemon, "team", "alice", uid=MALLORY, groups=(OTHERS, TEAM)) == {
            "team": "peer False", "alice": refused,
        }  # fmt: skip
        assert enter(daemon, "team", uid=MALLORY, gid=TEAM) == {"team": "peer False"}
        assert enter(daemon, "team", "alice", "both", uid=MALLORY, groups=(OTHERS,)) == {
            "team": refused, "alice": refused, "both": refused,
        }  # fmt: skip
        assert enter(daemon, "alice", "other", uid=BOB) == {"alice": "admin True", "other": "admin True"}
        assert enter(daemon, "alice", "team", uid=SERVICE) == {"alice": refused, "team": refused}
        assert enter(daemon, "alice", uid=0) == {"alice": refused}
        denied = [(line["agent"], f"(uid {MALLORY})" in line["peer"]) for line in log_lines(daemon)]
        assert denied.count(("alice", True)) == 2
        assert ("alice", False) in denied


def test_a_group_shares_the_socket(folder: Path) -> None:
    """Its members get in, in whichever way they are; others do not even reach the daemon."""
    agents = {"alice": {"allowUids": [ALICE]}, "bob": {"allowUids": [BOB]}}
    with service(folder, agents=agents, socket={"group": str(TEAM)}) as daemon:
        assert owner(daemon.socket) == (SERVICE, TEAM, 0o660)
        assert enter(daemon, "alice", "bob", uid=ALICE, groups=(TEAM,)) == {
            "alice": "peer False", "bob": "Unauthorised",
        }  # fmt: skip
        assert enter(daemon, "bob", uid=BOB, gid=TEAM) == {"bob": "peer False"}
        assert enter(daemon, "alice", uid=ALICE) == {"alice": "AccessDenied"}
        assert enter(daemon, "alice", "mallory", uid=MALLORY, groups=(OTHERS,)) == {
            "alice": "AccessDenied", "mallory": "AccessDenied",
        }  # fmt: skip
        assert not log_lines(daemon, "socket_out_of_reach")


def test_the_daemon_of_root_makes_a_folder_for_the_group(folder: Path) -> None:
    """Members pass through it and do nothing else there; others do not."""
    with Daemon(folder / "d", {"url": NO_SERVER, "socket": {"group": str(TEAM)}}) as daemon:
        (folder / "d").chmod(0o755)
        assert owner(daemon.socket.parent) == (0, TEAM, 0o710)
        assert enter(daemon, "main", uid=ALICE, groups=(TEAM,)) == {"main": "open True"}
        assert enter(daemon, "main", uid=MALLORY, groups=(OTHERS,)) == {"main": "AccessDenied"}


def test_without_a_group_the_socket_is_its_owners(folder: Path) -> None:
    """As long as nobody has said anything else, and whatever the folder lets through."""
    with service(folder) as daemon:
        assert owner(daemon.socket) == (SERVICE, SERVICE, 0o600)
        assert enter(daemon, "main", uid=SERVICE) == {"main": "open True"}
        assert enter(daemon, "main", uid=ALICE, groups=(TEAM,)) == {"main": "AccessDenied"}


def test_tokens_of_a_services_agents_are_made_by_root(folder: Path) -> None:
    """What root makes can be read by the daemon, and by nobody else; the daemon takes it at once."""
    with service(folder, socket={"group": str(TEAM)}) as daemon:
        made = as_root(daemon, "token", "new", "alice")
        token = made.stdout.strip()
        assert (made.returncode, "let it in" in made.stderr, "no daemon" in made.stderr) == (0, False, False)
        assert owner(daemon.data / "tokens") == (SERVICE, SERVICE, 0o700)
        assert owner(daemon.data / "tokens" / "alice") == (SERVICE, SERVICE, 0o600)
        assert owner(daemon.data / "admin.token") == (SERVICE, SERVICE, 0o600)
        shown = f"import os\nos.environ['EVENTD_TOKEN'] = {token!r}\n"
        told = run_as(shown + ENTER, daemon.socket, "alice", "bob", uid=BOB, groups=(TEAM,))
        assert told.splitlines() == ["alice token False", "bob Unauthorised"]
        assert enter(daemon, "alice", uid=ALICE, groups=(TEAM,)) == {"alice": "Unauthorised"}
        as_root(daemon, "token", "new", "alice", "--keep")
        assert "2 tokens" in as_root(daemon, "token", "list").stdout
        assert "alice" in as_user(daemon, "token", "list", uid=SERVICE)
        assert "alice" not in as_user(daemon, "token", "list", uid=ALICE, groups=(TEAM,))
        assert as_root(daemon, "token", "drop", "alice", "--yes").returncode == 0
        assert not list((daemon.data / "tokens").iterdir())


def test_root_and_the_services_user_look_after_the_daemon(folder: Path) -> None:
    """They can read the administrator's token, and need not name it; a member of the group cannot."""
    with service(folder, agents={"alice": {"allowUids": [ALICE]}}, socket={"group": str(TEAM)}) as daemon:
        assert '"health"' in as_root(daemon, "status", "--json").stdout
        assert '"health"' in as_user(daemon, "status", "--json", uid=SERVICE)
        named = ["--socket", str(daemon.socket), "status", "--json"]
        told = run_as(COMMAND, *named, uid=ALICE, groups=(TEAM,))
        assert ("error: unauthorised" in told, '"health"' in told) == (True, False), told


def test_another_users_daemon_is_not_told_the_administrators_token(folder: Path) -> None:
    """Root's own token is for root's own daemon: who listens where root looks does not get to know it."""
    with service(folder, agents={"alice": {"allowUids": [ALICE]}}, socket={"mode": "0666"}) as daemon:
        config = folder / "roots.yml"
        config.write_text(f"gateway:\n  eventStore:\n    dataDir: {folder / 'roots'}\n")
        (folder / "roots").mkdir(mode=0o700)
        shutil.copyfile(daemon.data / "admin.token", folder / "roots" / "admin.token")
        options = ["--config", str(config), "--socket", str(daemon.socket)]
        command = [sys.executable, "-m", "eventd", *options, "status"]

        def status() -> str:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            return done.stdout + done.stderr

        assert "error: unauthorised" in status()
        os.chown(folder / "roots" / "admin.token", SERVICE, SERVICE)
        assert "error: unauthorised" not in status()
