"""How this very eventd is started from anywhere; for service managers, and for tools that call it."""

import shutil
import sys
from pathlib import Path


def program() -> list[str]:
    """Return the words that start it; the first is an absolute path.

    A link, such as pipx and uv make, is left as it is: it outlives upgrades, what it points to may not.
    """
    called = Path(sys.argv[0])
    if called.name == "__main__.py" or (found := shutil.which(called)) is None:
        return [sys.executable, "-m", "eventd"]
    return [str(Path(found).absolute())]
