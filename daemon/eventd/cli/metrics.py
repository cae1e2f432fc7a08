"""`eventd metrics`: the daemon's numbers as Prometheus reads them."""

import click

from .output import print_bytes
from .place import Place

EPILOG = """\b
Examples:
  eventd metrics
  eventd metrics > /var/lib/node_exporter/textfile/eventd.prom
"""


@click.command("metrics", epilog=EPILOG)
@click.pass_obj
def command(place: Place) -> None:
    """Print the daemon's metrics in the text format of Prometheus.

    The same numbers as in `eventd status`. Prometheus can fetch them itself, see `metrics` in config.yml.
    """
    with place.connect(admin=True) as client:
        print_bytes(client.metrics().encode())
