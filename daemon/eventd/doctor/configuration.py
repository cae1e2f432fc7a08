"""The configuration: whether it can be used, what is wrong with it, and whether the daemon runs with it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from .. import paths
from ..config.load import default_config, load_config, load_file
from ..config.problems import ConfigNotFound, InvalidConfig
from ..config.settings import Config
from ..errors import ConfigError
from ..routes import DEFAULT_ROUTE
from .model import Finding, Findings, Level, unmade
from .visit import Visit

TITLE = "config file"
RELOAD = "`eventd reload` says what comes of it; where that does not help, restart the daemon"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The configuration that is looked at; None where it cannot be used here."""

    config: Config | None
    findings: Findings


def examine_config(named: Path | None, visited: Visit) -> Loaded:
    """Load the file that is named, else the one that the daemon uses, else the one that it would find."""
    path = named
    if path is None and visited.status:
        used = visited.status.get("config")
        path = Path(used) if used else None
    try:
        if path is not None:
            config = load_file(path)
        else:
            config = default_config() if visited.status else load_config()
    except ConfigError as error:
        return Loaded(None, _unusable(path or paths.find_config(), error, visited))
    if visited.status.get("data_dir"):
        config = replace(config, data_dir=Path(visited.status["data_dir"]))
    findings = [_loaded(config), *_enabled(config)]
    if visited.status:
        findings += _in_force(config, named, visited)
    return Loaded(config, findings)


def warnings_of(config: Config, told: Iterable[Path]) -> Findings:
    """Return what the loader warns of, without the files that are found to be exposed already."""
    exposed = [f"can read {path};" for path in told]
    return [
        Finding("config.warning", Level.WARNING, "config", warning)
        for warning in config.warnings
        if not any(text in warning for text in exposed)
    ]


def _loaded(config: Config) -> Finding:
    many = len(config.routes.all())
    where = str(config.source) if config.source else "none, the defaults are used"
    return Finding("config.loads", Level.OK, TITLE, f"{where} · {many} route{'' if many == 1 else 's'}")


def _unusable(path: Path | None, error: ConfigError, visited: Visit) -> Findings:
    """Say why it cannot be used here, and whether that is the daemon's trouble or only ours."""
    if isinstance(error.__cause__, PermissionError):
        return [unmade("config.loads", TITLE, str(error), _as_daemon(visited))]
    if not isinstance(error, InvalidConfig):
        level = Level.PROBLEM if isinstance(error, ConfigNotFound) or not visited.status else Level.WARNING
        return [Finding("config.loads", level, TITLE, str(error), error.hint)]
    problems = [problem.at(path) for problem in error.problems]
    if path is not None and _was_good_for_the_daemon(path, visited):
        why = f"it cannot be used from here, though the daemon took it: {'; '.join(problems)}"
        return [unmade("config.loads", TITLE, why, _as_daemon(visited))]
    return [Finding("config.loads", Level.PROBLEM, TITLE, text, error.hint) for text in problems]


def _was_good_for_the_daemon(path: Path, visited: Visit) -> bool:
    """Whether the daemon goes by this very file: then only our user or environment differs."""
    reload = visited.part("reload")
    try:
        changed = int(path.stat().st_mtime * 1000)
    except OSError:
        return False
    return not reload.get("error") and changed <= int(reload.get("loaded_at") or 0)


def _as_daemon(visited: Visit) -> str:
    pid = visited.status.get("pid")
    who = f"the user of process {pid}" if pid else "the user that eventd runs as"
    return f"run it as {who}: sudo -u USER eventd doctor"


def _enabled(config: Config) -> Findings:
    off = [route.name for route in config.routes.all() if not route.enabled]
    if not off:
        return []
    agents = [name for name in off if name != DEFAULT_ROUTE]
    if len(off) == len(config.routes.all()):
        return [
            Finding(
                "config.enabled", Level.PROBLEM, "enabled", "no agent's events are taken: enabled is false",
                "set gateway.eventStore.enabled: true",
            )
        ]  # fmt: skip
    findings = []
    if not config.enabled:
        findings.append(
            Finding(
                "config.enabled", Level.WARNING, "enabled",
                "agents without an entry are refused: enabled is false",
                "set gateway.eventStore.enabled: true",
            )
        )  # fmt: skip
    if agents:
        text = f"events of {', '.join(agents)} are refused: enabled is false there"
        findings.append(Finding("config.enabled", Level.NOTE, "enabled", text))
    return findings


def _in_force(config: Config, named: Path | None, visited: Visit) -> Findings:
    """Compare with what the daemon says that it runs with."""
    title = "in force"
    used = visited.status.get("config")
    if named is not None and (used is None or not _same_file(named, Path(used))):
        return [
            Finding(
                "config.in_force", Level.WARNING, title,
                f"the daemon runs with {used or 'the defaults'}, not with this file",
                f"eventd --config {named} run",
            )
        ]  # fmt: skip
    found = paths.find_config()
    if named is None and used is None and found is not None:
        text = f"the daemon runs with the defaults; {found} was made later, or it looks elsewhere"
        return [Finding("config.in_force", Level.WARNING, title, text, RELOAD)]
    if waiting := visited.part("reload").get("needs_restart"):
        text = f"a restart is needed for {'; '.join(map(str, waiting))}"
        return [Finding("config.in_force", Level.WARNING, title, text, "restart the daemon, or take it back")]
    differences = list(_differences(config, visited))
    if differences:
        return [
            Finding(
                "config.in_force", Level.WARNING, title,
                f"the daemon runs with an earlier configuration: {'; '.join(differences)}",
                RELOAD,
            )
        ]  # fmt: skip
    return [Finding("config.in_force", Level.OK, title, "the daemon runs with it")]


def _differences(config: Config, visited: Visit) -> Iterable[str]:
    running = visited.routes()
    for route in config.routes.all():
        name = "default" if route.name == DEFAULT_ROUTE else route.name
        theirs = running.get(name)
        if theirs is None:
            yield f"it knows no route {name}"
        elif theirs.get("prefix") != route.prefix:
            yield f"route {name} has the prefix {theirs.get('prefix')} there"
        elif theirs.get("enabled") != route.enabled:
            yield f"route {name} is {'' if theirs.get('enabled') else 'not '}enabled there"


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()
