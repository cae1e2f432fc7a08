"""The configuration in a backup: without its secrets, or with them where that was asked for."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from ..config.render import render
from ..config.settings import Config
from ..paths import admin_token_file, token_folder
from ..subjects import encode_token
from .folder import Folder
from .manifest import Manifest, SecretFile

_HEAD = """\
# The configuration that was in effect, with all defaults. Secrets are left out: where a value is ********,
# put it in again. Keys of other programs in the same file are not in here.
"""


def save_configuration(folder: Folder, manifest: Manifest, config: Config, secrets: bool) -> None:
    """Put the configuration into a backup, and say in the manifest what is left out. Blocks.

    Args:
        secrets: Take the file as it is, and every file with a secret that it names.
    """
    name = f"config-{manifest.number}.yml"
    if not secrets or config.source is None:
        manifest.config = folder.add(name, (_HEAD + render(config)).encode())
    else:
        manifest.config = folder.add(name, config.source.read_bytes())
    if not secrets:
        manifest.without.append(
            "secrets: passwords, keys, tokens and the files that hold them; --with-secrets"
        )
        return
    for number, path in enumerate(_secret_files(config)):
        file = folder.add(f"secrets/{manifest.number}-{number}-{encode_token(path.name)}", path.read_bytes())
        manifest.secrets.append(SecretFile(**msgspec.structs.asdict(file), source=str(path)))
    manifest.without.append("the embedded server's own key: a new one is made where there is none")


def _secret_files(config: Config) -> Iterator[Path]:
    """Yield the files with secrets that are there, each once."""
    named = [file for route in config.routes.all() for file in sorted(route.server.files)]
    named += [rule.token.path for rule in config.access.agents.values() if rule.token and rule.token.path]
    named += sorted(token_folder(config.data_dir).glob("*"))
    named.append(admin_token_file(config.data_dir))
    yield from (path for path in dict.fromkeys(named) if path.is_file())
