"""Where eventd keeps its files: the only module that knows the default folders of each system.

The socket is not here: clients have to find it too, so `eventd_ipc` knows where it is.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import platformdirs

APP = "eventd"
CONFIG_NAME = "config.yml"
CONFIG_VARIABLE = "EVENTD_CONFIG"
SYSTEM_CONFIG = Path("/etc/eventd") / CONFIG_NAME
SYSTEM_DATA = Path("/var/lib/eventd")


def user_config() -> Path:
    """Return where the config file of this user is, or would be."""
    return platformdirs.user_config_path(APP, appauthor=False) / CONFIG_NAME


def config_candidates() -> Iterator[Path]:
    """Return the places where a config file is looked for when none is named, the first one first."""
    yield user_config()
    yield SYSTEM_CONFIG


def named_config(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file that `$EVENTD_CONFIG` names, if it is set; it has to be there."""
    named = environ.get(CONFIG_VARIABLE)
    return Path(named).expanduser() if named else None


def find_config(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the config file to read, or None where there is none and the defaults are meant.

    A file that is there but cannot be read is returned all the same: to pass over it and run with other
    settings would be the greater surprise.
    """
    named = named_config(environ)
    return named or next(filter(_exists, config_candidates()), None)


def new_config(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where `eventd init` writes: `$EVENTD_CONFIG`, /etc as root, else the user's folder."""
    return named_config(environ) or (SYSTEM_CONFIG if os.geteuid() == 0 else user_config())


def data_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for everything that must outlive a restart.

    Under systemd it is `$STATE_DIRECTORY` (of several, the first); for root /var/lib/eventd; else the
    user's data folder.
    """
    state = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if state:
        return Path(state)
    return SYSTEM_DATA if os.geteuid() == 0 else platformdirs.user_data_path(APP, appauthor=False)


def user_data() -> Path:
    """Return the folder for what belongs to a user of tools, whoever runs the daemon."""
    return platformdirs.user_data_path(APP, appauthor=False)


def connections_folder() -> Path:
    """Return the folder that knows which tools of this user are connected, with copies of their files."""
    return platformdirs.user_state_path(APP, appauthor=False) / "connect"


def outbox_file(data: Path) -> Path:
    """Return the outbox's database in a data folder: the truth until it is shipped."""
    return data / "outbox.db"


def index_file(data: Path) -> Path:
    """Return the index's database in a data folder: disposable."""
    return data / "index.db"


def limits_file(data: Path) -> Path:
    """Return the file in a data folder that keeps what the servers of the routes take."""
    return data / "limits.json"


def token_folder(data: Path) -> Path:
    """Return the folder in a data folder with the hashes of agents' tokens."""
    return data / "tokens"


def admin_token_file(data: Path) -> Path:
    """Return the file in a data folder with the administrator's token."""
    return data / "admin.token"


def embedded_folder(data: Path) -> Path:
    """Return the default folder of the embedded server's streams in a data folder."""
    return data / "embedded"


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
