"""A person with agent tools: a home with their files, and eventd that connects them."""

from pathlib import Path

from eventd.connecting.connector import Connector
from eventd.connecting.model import Change, Program, Scope, Surroundings, Wish

NAMES = {
    "claude-code": (".claude", "settings.json"),
    "codex": (".codex", "hooks.json"),
    "openclaw": (".openclaw", "openclaw.json"),
}
PROGRAM = Program(["/opt/eventd/bin/eventd"])


class Person:
    """A home below a folder, and a project in it."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.project = self.home / "project"
        self.project.mkdir(parents=True)
        self.environ: dict[str, str] = {"PATH": "/nonexistent"}

    def file(self, tool: str) -> Path:
        """Return the file of a tool; its folder is made."""
        folder, name = NAMES[tool]
        (self.home / folder).mkdir(exist_ok=True)
        return self.home / folder / name

    @property
    def state(self) -> Path:
        """Where it is noted what was connected."""
        return self.home / "state" / "eventd" / "connect"

    @property
    def connector(self) -> Connector:
        """Who connects tools."""
        around = Surroundings(self.home, self.project, self.environ)
        return Connector(around, self.state, self.home / "share" / "eventd")

    def connect(
        self, tool: str, scope: Scope = Scope.USER, *, program: Program = PROGRAM, grant: bool = False
    ) -> Change:
        """Connect a tool."""
        wish = Wish(program, grant)
        change = self.connector.plan(tool, scope, wish)
        self.connector.make(change, wish)
        return change

    def undo(self, tool: str | None = None, scope: Scope | None = None) -> list[Change]:
        """Undo it."""
        changes = self.connector.plan_undo(tool, scope)
        for change in changes:
            self.connector.undo(change)
        return changes
