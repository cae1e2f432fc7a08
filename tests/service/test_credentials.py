"""Secrets that systemd hands over (`LoadCredential=`), in every setting that names a file of one."""

import os
import re
from pathlib import Path

import pytest

from eventd.config.load import load_text
from support.daemon import Daemon
from support.nats import NatsServer
from support.users import FIRST_USER, only_root, run_as

ROOT = Path(__file__).parents[2]
SUGGESTED = re.compile(r"^#LoadCredential=([\w-]+):", re.MULTILINE)
USED = re.compile(r"(\w+File): \$\{CREDENTIALS_DIRECTORY\}/([\w-]+)")

# Settings that name a file with a secret, each with what it needs beside it.
KEYS = {
    "passwordFile": "url: nats://h, user: eventd, passwordFile: F",
    "natsTokenFile": "url: nats://h, natsTokenFile: F",
    "nkeySeedFile": "url: nats://h, nkeySeedFile: F",
    "credsFile": "url: nats://h, credsFile: F",
    "tls.keyFile": "url: tls://h, tls: {certFile: F, keyFile: F, caFile: F}",
    "agents.tokenFile": "agents: {ann: {tokenFile: F}}",
}

# Loads the file's text and prints the password.
REVEAL = """
import os, sys
from pathlib import Path
from eventd.config.load import load_text
os.environ["CREDENTIALS_DIRECTORY"] = sys.argv[1]
config = load_text(sys.argv[2], Path("/etc/eventd/config.yml"))
print(*config.warnings, config.routes.default.server.credentials.password.reveal())
"""


def document(settings: str) -> str:
    """A config file with these settings; `F` is the credential."""
    file = ' "${CREDENTIALS_DIRECTORY}/secret"'
    return f"gateway: {{eventStore: {{{settings.replace(' F', file)}}}}}"


@pytest.mark.parametrize("settings", KEYS.values(), ids=KEYS)
def test_every_setting_that_names_a_file_takes_one(settings: str, tmp_path: Path) -> None:
    """The name of the folder is systemd's to choose; without it the mistake is told."""
    seed = "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU"
    (tmp_path / "secret").write_text(seed)
    (tmp_path / "secret").chmod(0o400)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert load_text(document(settings), Path("/etc/eventd/config.yml"), environ).warnings == ()


@only_root
def test_it_is_read_with_the_rights_that_systemd_gives(short_tmp: Path) -> None:
    """The file is root's, and the daemon's user may read it by an ACL, which shows as the group's right."""
    folder = short_tmp / "eventd.service"
    short_tmp.chmod(0o755)
    folder.mkdir()
    secret = folder / "secret"
    secret.write_text("s3cret\n")
    for path, mode in ((secret, 0o440), (folder, 0o550)):
        path.chmod(mode)
        os.chown(path, 0, FIRST_USER)
    assert run_as(REVEAL, folder, document(KEYS["passwordFile"]), uid=FIRST_USER) == "s3cret\n"


def test_what_unit_and_readme_suggest_logs_in(short_tmp: Path) -> None:
    """The names in the unit, its comment and the README fit together, and a server lets the daemon in."""
    unit, readme = (ROOT / "systemd" / "eventd.service").read_text(), (ROOT / "README.md").read_text()
    (name,) = SUGGESTED.findall(unit)
    assert USED.findall(unit) == USED.findall(readme) == [("passwordFile", name)]
    assert f"LoadCredential={name}:" in readme
    (short_tmp / "credentials").mkdir()
    (short_tmp / "credentials" / name).write_text("s3cret\n")
    users = "authorization { user: eventd, password: s3cret }"
    with NatsServer(short_tmp / "nats", config=users) as server:
        settings = {
            "url": server.url,
            "user": "eventd",
            "passwordFile": f"${{CREDENTIALS_DIRECTORY}}/{name}",
        }
        environ = {"CREDENTIALS_DIRECTORY": str(short_tmp / "credentials")}
        with Daemon(short_tmp / "d", settings, environ=environ) as daemon:
            daemon.wait_for(lambda status: status["routes"][0]["connected"], what="it is let in")
