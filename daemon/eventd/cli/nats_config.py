"""`eventd nats-config`: the configuration of a NATS server that keeps the agents apart."""

import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import file_type, json_option, option
from .output import notice, print_bytes, print_json, print_line
from .place import Place

if TYPE_CHECKING:
    from ..natsconfig.logins import Login
    from ..natsconfig.plan import Plan, Wish

EPILOG = """\b
Examples:
  eventd nats-config > nats-server.conf
  eventd nats-config --write ./nats
  eventd nats-config --login password --listen 0.0.0.0:4222
  eventd nats-config --mode users --agent main --agent helper --write ./nats
  eventd --config ./nats/config.yml nats-config --mode users --make-streams --admin ./nats/eventd-admin.nk

\b
Modes:
  accounts  an account for each agent: nothing of one can be named by another
  users     one account: each login may do what its own stream needs and no more,
            but can add to another's stream by a reply subject
"""

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")


class Address(click.ParamType[str]):
    """`host:port`."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the text."""
        match = _ADDRESS.fullmatch(value)
        if match is None or not 0 < int(match[2]) < 65536:
            self.fail(f"{value!r}: an address is like 127.0.0.1:4222", param, ctx)
        return str(value)


@click.command("nats-config", epilog=EPILOG)
@option(
    "--mode",
    type=click.Choice(["accounts", "users"]),
    default="accounts",
    show_default=True,
    help="How agents are kept apart.",
)
@option(
    "--login",
    "kind",
    type=click.Choice(["nkey", "password"]),
    default="nkey",
    show_default=True,
    help="What new logins prove themselves with. Those of the config file are kept.",
)
@option(
    "--listen",
    type=Address(),
    metavar="HOST:PORT",
    help="Where the server listens.  [default: as the config file's url says, else 127.0.0.1:4222]",
)
@option("--store", metavar="DIR", help="Folder of the server's streams.  [default: nats-data]")
@option(
    "--agent",
    "agents",
    multiple=True,
    metavar="NAME",
    help="With --mode users: an agent without an entry in the config file, beside main. Can be repeated.",
)
@option(
    "--snapshots",
    is_flag=True,
    help="With --mode users: let each login take snapshots of its stream, for `eventd backup`.",
)
@option(
    "--write",
    "folder",
    type=file_type,
    metavar="DIR",
    help="Write the files into this folder, each secret into one of its own.",
)
@option(
    "--force",
    is_flag=True,
    help="With --write: replace files; old ones are kept with `.old` behind their names.",
)
@option(
    "--make-streams",
    is_flag=True,
    help="With --mode users: make the streams on the server that runs; needs --admin.",
)
@option(
    "--admin",
    type=file_type,
    metavar="FILE",
    help="File with the administrator's seed or password.",
)
@json_option
@click.pass_obj
def command(
    place: Place,
    mode: str,
    kind: str,
    listen: str | None,
    store: str | None,
    agents: tuple[str, ...],
    snapshots: bool,
    folder: Path | None,
    force: bool,
    make_streams: bool,
    admin: Path | None,
    as_json: bool,
) -> None:
    """Print a NATS server configuration that keeps the agents apart.

    It is for the agents of the config file. Logins and streams that stand there are kept, what is missing is
    made: every agent under `agents:` gets a login and a stream of its own. The configuration goes to standard
    output; what belongs into config.yml, and each new secret, is shown once, on standard error.
    """
    from ..natsconfig.logins import LoginKind
    from ..natsconfig.plan import Mode, Wish, make_plan

    if make_streams != (admin is not None) or (make_streams and mode != Mode.USERS):
        raise click.UsageError("--make-streams, --admin and --mode users belong together")
    if agents and mode != Mode.USERS:
        raise click.UsageError("--agent is for --mode users; in accounts the default stream takes everybody")
    if snapshots and mode != Mode.USERS:
        raise click.UsageError("--snapshots is for --mode users; in an account of its own a login may anyway")
    config = place.load_config()
    wish = Wish(Mode(mode), LoginKind(kind), listen, agents, snapshots)
    plan = make_plan(config, wish)
    if admin is not None:
        _make_streams(plan, admin)
        return
    for note in plan.notes:
        notice(f"note: {note}")
    if folder is not None:
        _write(plan, wish, folder, store, force=force, as_json=as_json)
    else:
        _print(plan, wish, store, as_json=as_json)


def _print(plan: "Plan", wish: "Wish", store: str | None, *, as_json: bool) -> None:
    """Print the server's configuration, and beside it what a person needs once."""
    from ..natsconfig.server import STORE, server_text
    from ..natsconfig.snippet import snippet, snippet_text

    text = server_text(plan, store or STORE)
    if as_json:
        print_json(_document(plan, wish) | {"server": text, "config": snippet(plan)})
        return
    print_bytes(text.encode())
    notice(f"\n{snippet_text(plan)}")
    if plan.administrator is not None:
        notice(
            "# The administrator, who makes the streams. Keep this in a file of its own (chmod 600), FILE:\n"
            f"#   {plan.administrator.login.secret.reveal()}\n"
            "# With the keys above in config.yml, and the server started, make the streams:\n"
            f"#   {_streams_command(wish, 'FILE', None)}"
        )
    notice("# Secrets that are not in your config.yml were made now; another run makes others.")


def _write(
    plan: "Plan", wish: "Wish", folder: Path, store: str | None, *, force: bool, as_json: bool
) -> None:
    """Write everything into a folder, and say what is where."""
    from ..natsconfig.server import STORE, server_text
    from ..natsconfig.snippet import snippet_text
    from .nats_files import SecretFiles

    files = SecretFiles(folder.absolute(), force=force)
    logins = [tenant.login for tenant in plan.tenants]
    names = {login.name: _secret_file(login) for login in logins if login.secret.path is None}
    server, config = files.folder / "nats-server.conf", files.folder / "config.yml"
    written = {
        server: (server_text(plan, store or str(files.folder / STORE)), "the server's configuration"),
        config: (snippet_text(plan, names), "the part of config.yml that fits it"),
    }
    for login in logins:
        if login.name in names:
            written[files.folder / names[login.name]] = (f"{login.secret.reveal()}\n", f"login {login.name}")
    admin = None
    if plan.administrator is not None:
        login = plan.administrator.login
        admin = files.folder / _secret_file(login)
        written[admin] = (
            f"{login.secret.reveal()}\n",
            "login of the administrator; only the command below needs it",
        )
    files.write({path: text for path, (text, _) in written.items()})
    if as_json:
        print_json(_document(plan, wish, secrets=False) | {"files": [str(path) for path in written]})
        return
    for path, (_, what) in written.items():
        print_line(f"{path}  {what}")
    steps = [f"nats-server -c {shlex.quote(str(server))}"]
    if admin is not None:
        steps.append(_streams_command(wish, str(admin), config))
    steps.append(f"eventd --config {shlex.quote(str(config))} run")
    notice("next:" + "".join(f"\n  {step}" for step in steps))


def _make_streams(plan: "Plan", admin: Path) -> None:
    """Make the streams of all routes as the administrator, and print what was done."""
    import anyio

    from ..jetstream.endpoint import Endpoint
    from ..jetstream.provision import make_streams
    from ..jetstream.session import open_session
    from ..natsconfig.logins import written_login
    from ..natsconfig.permissions import ADMIN_ROUTE
    from ..natsconfig.plan import ADMIN_LOGIN
    from ..secret import Secret

    login = written_login(ADMIN_LOGIN, Secret(path=admin))
    server = plan.server
    endpoint = Endpoint(server.urls, login.credentials, server.tls, server.js_domain)
    wanted = [(tenant.route, tenant.subjects) for tenant in plan.tenants]

    async def run() -> None:
        async with open_session(endpoint, ADMIN_ROUTE) as session:
            async for name, done in make_streams(session, wanted):
                print_line(f"{name}: {done}")

    anyio.run(run)


def _document(plan: "Plan", wish: "Wish", *, secrets: bool = True) -> dict[str, Any]:
    """Return for programs what is told to people."""

    def described(login: "Login") -> dict[str, Any]:
        told = {"name": login.name, "user": login.user, "kept": login.kept}
        if login.user is None:
            told["nkey"] = login.public
        return told | ({"secret": login.secret.reveal()} if secrets else {})

    document: dict[str, Any] = {
        "mode": plan.mode,
        "listen": plan.listen,
        "tenants": [
            {
                "agent": None if tenant is plan.tenants[0] else tenant.route.name,
                "stream": tenant.route.stream,
                "subjects": tenant.subjects,
                "login": described(tenant.login),
                "permissions": asdict(tenant.permissions) if tenant.permissions else None,
            }
            for tenant in plan.tenants
        ],
        "notes": plan.notes,
    }
    if plan.administrator is not None:
        document["administrator"] = described(plan.administrator.login)
        document["makeStreams"] = _streams_command(wish, "FILE", None)
    return document


def _secret_file(login: "Login") -> str:
    return f"{login.name}.{'nk' if login.user is None else 'password'}"


def _streams_command(wish: "Wish", admin: str, config: Path | None) -> str:
    """Return the command that makes the streams of this plan."""
    arguments = ["eventd", *(["--config", str(config)] if config else [])]
    arguments += ["nats-config", "--mode", wish.mode, "--make-streams", "--admin", admin]
    for agent in wish.agents:
        arguments += ["--agent", agent]
    if wish.snapshots:
        arguments.append("--snapshots")
    return shlex.join(arguments)
