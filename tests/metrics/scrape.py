"""A scrape as Prometheus reads it."""

from prometheus_client.parser import text_string_to_metric_families

from eventd_ipc.blocking import connect
from support.daemon import Daemon


class Scrape:
    """The samples of one exposition.

    Attributes:
        types: `counter`, `gauge` … by the name of the family; without `_total`, as the parser has it.
        helps: Likewise.
    """

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self.types = {family.name: family.type for family in families}
        self.helps = {family.name: family.documentation for family in families}
        self.samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in families:
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.samples, f"{key} is there twice"
                self.samples[key] = sample.value

    def __getitem__(self, name: str) -> float:
        """Return a sample without labels."""
        return self.of(name)

    def of(self, name: str, **labels: str) -> float:
        """Return a sample by its labels."""
        return self.samples[name, frozenset(labels.items())]

    @property
    def names(self) -> set[str]:
        """The names of all samples."""
        return {name for name, _ in self.samples}

    def labels(self, name: str, label: str) -> set[str]:
        """Return the values of a label."""
        return {dict(labels)[label] for found, labels in self.samples if found == name}


def scrape(daemon: Daemon) -> Scrape:
    """Ask a daemon for its metrics over its socket."""
    with connect("test", socket=daemon.socket, token=daemon.admin_token, patience=0) as client:
        return Scrape(client.metrics())
