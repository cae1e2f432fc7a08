"""Find, read and check the configuration."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from .. import paths
from ..errors import ConfigError
from . import document, reader
from .problems import ROOT, ConfigNotFound, KeyPath, Report, dotted
from .resolve import resolve
from .schema import EventStore
from .settings import Config

_DATA_DIR = re.compile(r"""\bdataDir["']?\s*:\s*["']?([^"'#,}\n]+)""")  # in YAML that may be none

MAX_FILE = 4 * 2**20  # bytes; no config of people is larger, and a wrong path may be


def load_config(named: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration of the file that is named, or of the one that is found, or the defaults.

    Raises:
        ConfigNotFound: The file that was named (here or by `$EVENTD_CONFIG`) is not there.
        ConfigError: It cannot be read, or (`InvalidConfig`) used.
    """
    path = named or paths.find_config(environ)
    return default_config(environ) if path is None else load_file(path, environ)


def load_file(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration of a file.

    Raises:
        ConfigNotFound: It is not there.
        ConfigError: It cannot be read, or (`InvalidConfig`) used.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError as error:
        raise ConfigNotFound(
            f"there is no config file {path}",
            hint=f"`eventd init` writes one; check --config and ${paths.CONFIG_VARIABLE}",
        ) from error
    except OSError as error:
        raise ConfigError(f"cannot read the config file {path}: {os.strerror(error.errno or 0)}") from error
    if len(data) > MAX_FILE:
        raise ConfigError(f"the config file {path} is larger than {MAX_FILE} bytes; is it the right one?")
    try:
        text = data.decode()
    except UnicodeDecodeError:  # its cause would quote the file
        raise ConfigError(f"the config file {path} is not in UTF-8") from None
    return load_text(text, path, environ)


def load_text(text: str, source: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration of a YAML text.

    Args:
        source: The file it stands in: named in messages; relative paths begin at its folder.

    Raises:
        InvalidConfig: With every problem of the text.
    """
    report = Report(source)
    top = document.parse(text, report)
    ours = document.find_ours(top, report)
    report.check()
    if ours is None:
        report.warning(KeyPath(), f"there is no {dotted(ROOT)} in it; the defaults are used")
    node = reader.read(ours, ROOT, report, environ)
    report.check()
    config = resolve(node, report, environ)
    report.check()
    return replace(config, in_file=ours is not None)


def glance(named: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the data folder that a file names which cannot be used otherwise; None where there is none."""
    path = named or paths.find_config(environ)
    try:
        text = path.read_text(encoding="utf-8", errors="replace") if path is not None else ""
    except OSError:
        return None
    found = _DATA_DIR.search(text)
    return (
        None
        if path is None or found is None
        else path.absolute().parent / Path(found[1].strip()).expanduser()
    )


def default_config(environ: Mapping[str, str] = os.environ) -> Config:
    """Return the configuration without a file: one stream on the embedded server."""
    return resolve(EventStore(), Report(None), environ)
