"""Access rules: whether there are any, and whether the daemon goes by them."""

from ..access.tokens import TokenFolder, TokensUnusable
from ..config.settings import Config
from ..paths import token_folder
from .model import Finding, Findings, Level, unmade
from .visit import Visit

CHECK, TITLE = "access.rules", "access rules"
OPEN = "open"


def examine_access(config: Config, visited: Visit) -> Findings:
    """Say who has to prove what, and as whom we were let in."""
    tokens: set[str] = set()
    try:
        tokens = TokenFolder(token_folder(config.data_dir)).needed()
    except TokensUnusable as error:
        if not isinstance(error.__cause__, PermissionError):
            return [Finding(CHECK, Level.PROBLEM, TITLE, f"{error}: nobody is let in", error.hint)]
        if visited.welcome is None:
            return [unmade(CHECK, TITLE, str(error), error.hint)]
    listed = {name for name, rule in config.access.agents.items() if rule.has_rule} | tokens
    has_rules = bool(listed) or config.access.has_rules
    proof = visited.welcome.proof if visited.welcome else ""
    if has_rules and proof == OPEN:
        return [
            Finding(
                CHECK, Level.PROBLEM, TITLE,
                f"the configuration has rules (for {_names(listed)}), but the daemon does not go by them",
                "it runs with an earlier or another configuration: restart it, and look into its log",
            )
        ]  # fmt: skip
    let_in = f"; we were let in by {proof}" if proof and proof != OPEN else ""
    if has_rules or (proof and proof != OPEN):
        text = f"in force for {_names(listed)}" if listed else "in force"
        others = (
            "agents without a rule are let in, too"
            if config.access.allow_unlisted
            else "all others are refused"
        )
        level = Level.NOTE if config.access.allow_unlisted else Level.OK
        return [Finding(CHECK, level, TITLE, f"{text}; {others}{let_in}")]
    return [
        Finding(CHECK, Level.OK, TITLE, "none: whoever may open the socket is the one user of all agents")
    ]


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "administrators"
