"""The progress bar of what takes long, on standard error."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Bar:
    """Draws how much is done.

    Args:
        total: All there is to do, in any unit; without it the bar only shows that something goes on.
    """

    def __init__(self, total: int | None) -> None:
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,  # the summary takes its place
        )
        self._task = self._progress.add_task("", total=total, told="")
        self._progress.start()

    def advance(self, done: int, told: str, *, total: int | None = None) -> None:
        """Show how far it is.

        Args:
            told: The same in words.
            total: All there is to do, where that has changed.
        """
        self._progress.update(self._task, completed=done, told=told, total=total)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()
