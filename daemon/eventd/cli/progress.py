"""The progress bar of a bulk emit, on standard error."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Bar:
    """Draws how much of the input is done.

    Args:
        size: Bytes of the input; without it the bar only shows that something goes on.
    """

    def __init__(self, size: int | None) -> None:
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,  # the summary takes its place
        )
        self._task = self._progress.add_task("emit", total=size, told="")
        self._progress.start()

    def advance(self, done: int, stored: int, refused: int) -> None:
        """Show how far it is: bytes of the input, events, lines."""
        told = f"{stored:,} stored" + (f", {refused:,} not taken" if refused else "")
        self._progress.update(self._task, completed=done, told=told)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()
