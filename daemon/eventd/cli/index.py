"""`eventd index`: how the index is, and building it anew."""

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .columns import columns
from .figures import count, size, span
from .options import json_option, option
from .output import is_terminal, neutral, notice, print_json, print_line
from .place import Place

if TYPE_CHECKING:
    from eventd_ipc.blocking import Client

    from .progress import Bar

INTERVAL = 0.3  # seconds between two looks while it is built
READY = "ready"

GROUP_EPILOG = """\b
Examples:
  eventd index status
  eventd index rebuild
"""

STATUS_EPILOG = """\b
Examples:
  eventd index status
  eventd index status --json | jq .behind

\b
The first line says it in a word:
  ready        it has everything
  catching_up  it is behind, and reading
  rebuilding   it is being built anew
  stalled      it does not go on; the line says why
"""

REBUILD_EPILOG = """\b
Examples:
  eventd index rebuild
  eventd index rebuild --no-wait
"""


@click.group("index", epilog=GROUP_EPILOG, no_args_is_help=True)
def command() -> None:
    """Look after the index that answers query, recall and context.

    It holds nothing that is not in the outbox or in the streams, so it can be built anew at any time.
    """


@command.command("status", epilog=STATUS_EPILOG)
@json_option
@click.pass_obj
def status(place: Place, as_json: bool) -> None:
    """Show how the index is."""
    with place.connect(admin=True) as client:
        document = client.index()
    _show(document, as_json)


@command.command("rebuild", epilog=REBUILD_EPILOG)
@option("--no-wait", is_flag=True, help="Do not wait until it is done.")
@json_option
@click.pass_obj
def rebuild(place: Place, no_wait: bool, as_json: bool) -> None:
    """Build the index anew from the streams and the outbox.

    Nothing is lost, and eventd goes on answering from what the index has so far. Ctrl-C ends the waiting, not
    the building.
    """
    with place.connect(admin=True) as client:
        document = client.index("rebuild")
        if not no_wait:
            document = _wait(client, document)
    _show(document, as_json)


def _wait(client: "Client", document: dict[str, Any]) -> dict[str, Any]:
    """Wait until the index is ready and return how it is then; on a terminal it is seen how far it is."""
    bar: Bar | None = None
    if is_terminal(sys.stderr):
        from . import progress

        bar = progress.Bar(None)
    told = ""
    total = 0
    try:
        while document.get("state") != READY:
            left = _behind(document)
            total = max(total, left)
            if bar is not None:
                words = f"{neutral(str(document.get('state', '')))}, {count(left, 'event')} to go"
                bar.advance(total - left, words, total=total or None)
            elif (problem := str(document.get("problem") or "")) != told:
                told = problem
                notice(neutral(problem) if problem else "the trouble is over")
            time.sleep(INTERVAL)
            document = client.index()
    finally:
        if bar is not None:
            bar.close()
    return document


def _show(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    for line in _lines(document):
        print_line(line)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    problem = document.get("problem")
    state = neutral(str(document.get("state", "unknown")))
    yield state + (f": {neutral(str(problem))}" if problem else "")
    facts = [count(_number(document, "events"), "event"), size(_number(document, "bytes"))]
    if behind := _number(document, "behind"):
        late = document.get("behind_s")
        facts.append(
            f"{count(behind, 'accepted event')} to take"
            + (f", since {span(late)}" if isinstance(late, int | float) else "")
        )
    yield " · ".join(facts)
    streams = [stream for stream in document.get("streams") or () if isinstance(stream, dict)]
    if streams:
        yield ""
        yield from columns(
            [
                ("stream", "read up to", "of", "behind"),
                *(
                    (
                        neutral(str(stream.get("name", ""))),
                        *(f"{_number(stream, key):,}" for key in ("position", "last", "behind")),
                    )
                    for stream in streams
                ),
            ]
        )


def _behind(document: dict[str, Any]) -> int:
    streams = [stream for stream in document.get("streams") or () if isinstance(stream, dict)]
    return sum(_number(found, "behind") for found in (document, *streams))


def _number(tree: dict[str, Any], key: str) -> int:
    value = tree.get(key)
    return value if isinstance(value, int) else 0
