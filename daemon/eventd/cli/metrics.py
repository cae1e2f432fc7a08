"""`eventd metrics`: the daemon's numbers as Prometheus reads them, and a dashboard and alerts for them."""

from importlib.resources import files

import click

from .options import option
from .output import print_bytes
from .place import Place

DASHBOARD = "dashboard.json"
ALERTS = "alerts.yml"

EPILOG = """\b
Examples:
  eventd metrics
  eventd metrics | grep ^eventd_route_
  eventd metrics --alerts > eventd.rules.yml
  eventd metrics --dashboard > eventd-dashboard.json
"""


@click.command("metrics", epilog=EPILOG)
@option("--dashboard", "ready", flag_value=DASHBOARD, help="Print a Grafana dashboard to import instead.")
@option("--alerts", "ready", flag_value=ALERTS, help="Print alert rules for Prometheus instead.")
@click.pass_obj
def command(place: Place, ready: str | None) -> None:
    """Print the daemon's metrics in the text format of Prometheus.

    The same numbers as in `eventd status`. The dashboard and the alert rules need no daemon.
    """
    if ready is not None:
        print_bytes(files("eventd").joinpath("data", ready).read_bytes())
        return
    with place.connect(admin=True) as client:
        print_bytes(client.metrics().encode())
