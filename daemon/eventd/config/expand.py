"""`${ENV}` in the values of a config file."""

import re
from collections.abc import Mapping

_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.ASCII | re.DOTALL)
_REFERENCE = re.compile(r"(\$\$\{)|\$\{(?:([^}]*)\})?")


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replace each `${NAME}` by that variable; `${NAME:-text}` has a default, `$${` is a plain `${`.

    As in a shell, the default also stands in for a variable that is empty.

    Raises:
        ValueError: A variable is not set, or a reference is not complete.
    """

    def value(match: re.Match[str]) -> str:
        escaped, reference = match.groups()
        if escaped:
            return "${"
        name = _NAME.fullmatch(reference or "")
        if name is None:
            raise ValueError(
                "${ begins a reference like ${NAME} or ${NAME:-default}; write $${ for a plain ${"
            )
        found, default = environ.get(name[1]), name[2]
        if default is not None:
            return found or default
        if found is None:
            raise ValueError(f"the environment variable {name[1]} is not set")
        return found

    return _REFERENCE.sub(value, text)
