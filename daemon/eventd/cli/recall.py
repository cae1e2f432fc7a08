"""`eventd recall`: what was said and done, found by its words."""

import re
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import click

from .filters import EVERYBODY, since_option, type_option, until_option
from .options import AGENT_VARIABLE, json_option, option
from .output import is_terminal, neutral, notice, print_json, print_line, shorten, wants_colour
from .place import Place

WIDTH = 400  # characters of a passage where the terminal sets no limit
LINES = 3  # of a terminal that a passage may take
FEW = 3  # letters; shorter words are not made bold, they are everywhere
ENDING = 2  # letters at the end of a word that other forms of it may have otherwise

EPILOG = """\b
Examples:
  eventd recall when is the deadline
  eventd recall "offer for Anna" --since 30d --around 2
  eventd recall deployment --agent ci --type "memory.*" -n 3
  eventd recall Vienna --json | jq -r .id

`eventd get ID` shows all of what was found. An agent recalls its own events and public ones of others.
"""


@click.command("recall", epilog=EPILOG)
@click.argument("words", nargs=-1, required=True, metavar="TEXT...")
@option(
    "--agent",
    envvar=AGENT_VARIABLE,
    metavar="NAME",
    help="Who remembers; * for all agents together.  [default: main]",
)
@option("--session", metavar="KEY", help="Look in this session; agent:main:* for all that begin so.")
@type_option
@since_option
@until_option
@option(
    "-n", "--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Most that is shown."
)
@option(
    "--around",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Show N events of the session before and after each, too.",
)
@json_option
@click.pass_obj
def command(
    place: Place, /, words: tuple[str, ...], agent: str | None, as_json: bool, **conditions: Any
) -> None:
    """Find what was said and done by its words, best first.

    Any words will do, also a question; not all of them have to be there.
    """
    text = " ".join(words)
    if not text.strip():
        raise click.UsageError("give some words to look for")
    everybody = agent == EVERYBODY
    with place.connect(None if everybody else agent, admin=everybody) as client:
        answer = client.recall(text, agent=agent, **conditions)
    hits = answer.get("hits", [])
    show = None if as_json else _Page(text)
    for hit in hits:
        if show is None:
            print_json(hit)
        else:
            for line in show.lines(hit):
                print_line(line)
    if not hits:
        notice("nothing was found")
    if not answer.get("complete", True):
        notice("the index is not complete yet: there may be more; see `eventd index status`")


class _Page:
    """Hits as a person reads them; the words that were looked for are bold on a terminal."""

    def __init__(self, text: str) -> None:
        self._width = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None
        self._colour = wants_colour(sys.stdout)
        stems = {
            re.escape(word[: max(FEW, len(word) - ENDING)]) for word in re.findall(rf"\w{{{FEW},}}", text)
        }
        self._sought = re.compile(rf"\b(?:{'|'.join(sorted(stems))})\w*", re.IGNORECASE) if stems else None

    def lines(self, hit: dict[str, Any]) -> Iterator[str]:
        """Yield when, where, whose and which; then the passage, among what is around it."""
        head = "  ".join((_when(hit), *(_word(hit, key) for key in ("session", "agent", "type", "id"))))
        if hit.get("path"):
            head += f"  {neutral(' › '.join(str(hit[key]) for key in ('path', 'heading') if hit.get(key)))}"
        yield click.style(head, dim=True) if self._colour else head
        around = [found for found in hit.get("around", ()) if isinstance(found, dict)]
        before = [found for found in around if _place(found) < _place(hit)]
        for found in before:
            yield self._neighbour(found)
        passage = shorten(neutral(str(hit.get("snippet") or hit.get("text") or "")), self._room())
        yield f"  {self._bold(passage)}"
        for found in around[len(before) :]:
            yield self._neighbour(found)

    def _room(self) -> int:
        return WIDTH if self._width is None else max(20, LINES * self._width - 2)

    def _neighbour(self, found: dict[str, Any]) -> str:
        text = f"  | {_when(found)[11:]}  {_word(found, 'type')}  {neutral(str(found.get('text', '')))}"
        text = shorten(text, WIDTH if self._width is None else self._width)
        return click.style(text, dim=True) if self._colour else text

    def _bold(self, passage: str) -> str:
        if not self._colour or self._sought is None:
            return passage
        return self._sought.sub(lambda found: click.style(found[0], bold=True), passage)


def _when(found: dict[str, Any]) -> str:
    from .views import local_time

    time = found.get("time")
    return local_time(time if isinstance(time, int) else 0)


def _word(found: dict[str, Any], key: str) -> str:
    return neutral(str(found.get(key) or "-"))


def _place(found: dict[str, Any]) -> tuple[int, int]:
    return found.get("time") or 0, found.get("seq") or sys.maxsize
