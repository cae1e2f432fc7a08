"""OpenClaw: a plugin, named in its openclaw.json. After https://docs.openclaw.ai/tools/plugin.

The plugin is copied to a folder of eventd's own: the path of an installed package changes with each Python,
and OpenClaw does not start with a plugin path where nothing is.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from . import jsonedit
from .model import Advice, CannotConnect, Found, Scope, Surroundings, Tree, Wish

NAME: Final = "openclaw"
TITLE: Final = "OpenClaw"
PLUGIN: Final = "eventd"
BINARY: Final = "openclaw"
PACKAGED: Final = Path(__file__).parents[1] / "data" / "openclaw-plugin"

HOME_VARIABLE, STATE_VARIABLE, FILE_VARIABLE = "OPENCLAW_HOME", "OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH"
FOLDERS: Final = (".openclaw", ".moltbot", ".clawdbot")
"""The one of today, and what it was called before."""
FILES: Final = ("openclaw.json", "moltbot.json", "clawdbot.json")

GRANT: Final = ("plugins", "entries", PLUGIN, "hooks", "allowConversationAccess")
ENTRY: Final = GRANT[:3]
PATHS: Final = ("plugins", "load", "paths")


class OpenClaw:
    """OpenClaw's configuration.

    Args:
        copy: Folder that the plugin is copied to.
    """

    name = NAME
    title = TITLE
    scopes: Sequence[Scope] = (Scope.USER,)

    def __init__(self, copy: Path) -> None:
        self.copy = copy

    def find(self, around: Surroundings) -> Found:
        """Return where it is: as its variables say, else ~/.openclaw, else where older ones were."""
        binary = shutil.which(BINARY, path=around.environ.get("PATH"))
        home = Path(around.environ.get(HOME_VARIABLE) or around.home).expanduser()
        if named := around.environ.get(STATE_VARIABLE):
            return Found(Path(named).expanduser(), binary)
        there = [home / name for name in FOLDERS if _file_in(home / name).exists()]
        return Found(there[0] if there else home / FOLDERS[0], binary, there[1:])

    def file(self, around: Surroundings, scope: Scope) -> Path:
        """Return its configuration."""
        if named := around.environ.get(FILE_VARIABLE):
            return Path(named).expanduser()
        return _file_in(self.find(around).folder)

    def connected(self, text: str, wish: Wish) -> str:
        """Name the plugin, turn it on, and grant it what was asked for."""
        plugins = _plugins(text)
        if PLUGIN in _list(plugins.get("deny")):
            raise CannotConnect(
                f"its plugins.deny has {PLUGIN} in it: somebody does not want the plugin",
                hint=f"take {PLUGIN} out of plugins.deny, then try again",
            )
        stale = [path for path in self.commands(text) if path != str(self.copy)]
        for path in stale:
            text = _without_element(text, PATHS, path)
        if str(self.copy) not in self.commands(text):
            text = jsonedit.append(text, PATHS, str(self.copy))
        if "allow" in plugins and PLUGIN not in _list(plugins["allow"]):
            text = jsonedit.append(text, ("plugins", "allow"), PLUGIN)
        if _at(text, *ENTRY, "enabled") is not True:
            text = jsonedit.put(text, (*ENTRY, "enabled"), True)
        if wish.grant and _at(text, *GRANT) is not True:
            text = jsonedit.put(text, GRANT, True)
        socket = str(wish.program.socket) if wish.program.socket else None
        if socket and _at(text, *ENTRY, "config", "socket") != socket:
            text = jsonedit.put(text, (*ENTRY, "config", "socket"), socket)
        return text

    def disconnected(self, text: str, original: str) -> str:
        """Remove the plugin's entry, its path, and its place in the list of what is allowed."""
        for path in self.commands(text):
            text = _without_element(text, PATHS, path)
        if PLUGIN not in _list(_at(original, "plugins", "allow")):
            text = _without_element(text, ("plugins", "allow"), PLUGIN)
        entry = _at(original, *ENTRY)
        text = jsonedit.remove(text, ENTRY) if entry is None else jsonedit.put(text, ENTRY, entry)
        for made in (PATHS, PATHS[:2], ENTRY[:2], ENTRY[:1]):
            if _at(text, *made) in ([], {}) and _at(original, *made) is None:
                text = jsonedit.remove(text, made)
        return text

    def commands(self, text: str) -> Sequence[str]:
        """Return the folders of ours that it loads plugins from."""
        load = _plugins(text).get("load")
        paths = _list(load.get("paths") if isinstance(load, dict) else None)
        return [path for path in paths if isinstance(path, str) and _is_ours(Path(path).expanduser())]

    def advice(self, around: Surroundings, scope: Scope, text: str, wish: Wish) -> Advice:
        """It has to be restarted, and what it hears and says is only told to plugins that may know."""
        plugins, todo = _plugins(text), []
        if plugins.get("enabled") is False:
            todo.append("set plugins.enabled to true: no plugin runs without it")
        if not is_granted(text):
            todo.append(
                "let the plugin see what is said: `eventd connect openclaw --grant` sets "
                f"{'.'.join(GRANT)}; until then it hears no answers of agents, and reminds nobody"
            )
        if may_not_inject(text):
            todo.append(
                f"take allowPromptInjection: false out of {'.'.join(GRANT[:4])}, or nothing is recalled"
            )
        todo.append("restart OpenClaw: `openclaw gateway restart`")
        return Advice(todo, [])

    def install(self, wish: Wish) -> None:
        """Copy the plugin; a copy that is current stays."""
        if is_current(self.copy):
            return
        fresh = self.copy.with_name(f"{self.copy.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, data in _contents(PACKAGED):
            target = fresh / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o644)
        for folder in (fresh, *(path for path in fresh.rglob("*") if path.is_dir())):
            folder.chmod(0o755)  # OpenClaw refuses what others can write to
        shutil.rmtree(self.copy, ignore_errors=True)
        fresh.rename(self.copy)

    def uninstall(self) -> None:
        """Remove the copy."""
        shutil.rmtree(self.copy, ignore_errors=True)


def is_granted(text: str) -> bool:
    """Whether the plugin may see what is said."""
    return _at(text, *GRANT) is True


def may_not_inject(text: str) -> bool:
    """Whether the plugin may not put anything into a prompt."""
    return _at(text, *GRANT[:4], "allowPromptInjection") is False


def is_on(text: str) -> bool:
    """Whether plugins, and this one, are turned on."""
    plugins = _plugins(text)
    allowed = "allow" not in plugins or PLUGIN in _list(plugins["allow"])
    is_off = plugins.get("enabled") is False or PLUGIN in _list(plugins.get("deny"))
    return allowed and not is_off and _at(text, *ENTRY, "enabled") is True


def is_current(copy: str | Path) -> bool:
    """Whether a copy of the plugin is that of this eventd."""
    return dict(_contents(Path(copy).expanduser())) == dict(_contents(PACKAGED))


def is_there(copy: str | Path) -> bool:
    """Whether a folder holds a plugin."""
    return (Path(copy).expanduser() / "openclaw.plugin.json").is_file()


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


def _file_in(folder: Path) -> Path:
    return next((folder / name for name in FILES if (folder / name).exists()), folder / FILES[0])


def _is_ours(folder: Path) -> bool:
    """Whether a folder is one in which eventd keeps its plugin, be it there or not."""
    return folder.name == PACKAGED.name and folder.parent.name == "eventd"


def _plugins(text: str) -> Tree:
    document = jsonedit.read(text)
    if not isinstance(document, dict):
        raise CannotConnect("it holds no object, but some other value")
    plugins = document.get("plugins", {})
    if not isinstance(plugins, dict) or "$include" in plugins:
        raise CannotConnect(
            "its `plugins` is in another file, or no object",
            hint="see docs.openclaw.ai/tools/plugin to add it",
        )
    return plugins


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _at(text: str, *path: str) -> Any:
    value = jsonedit.read(text)
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _without_element(text: str, path: Sequence[str], value: object) -> str:
    """Return the text without an element of a list, however often it is in it."""
    elements = _list(_at(text, *path))
    for number in reversed(range(len(elements))):
        if elements[number] == value:
            text = jsonedit.remove(text, (*path, number))
    return text
