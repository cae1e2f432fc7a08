"""The config file that `eventd init` writes: every setting, explained, with its default."""

import os
from importlib.resources import files
from pathlib import Path

from ..errors import ConfigError

MODE = 0o600  # people put passwords into it


def template() -> str:
    """Return the text of the file; as it is, it means the same as no file."""
    return files(__package__).joinpath("template.yml").read_text(encoding="utf-8")


def write_template(path: Path) -> None:
    """Write a new config file for its owner only, with the folders above it.

    Raises:
        ConfigError: There is one already, which is left alone, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, MODE)) as file:
            file.write(template())
    except FileExistsError as error:
        raise ConfigError(
            f"there is a config file {path} already; it was left as it is",
            hint="name another with --config, or move it away first",
        ) from error
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {os.strerror(error.errno or 0)}") from error
