"""Fixtures: sites, each a nats-server with a daemon of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backup.site import Site
from support.daemon import Daemon
from support.nats import NatsServer

SiteFactory = Callable[..., Site]
"""The fixture `site_factory`."""


@pytest.fixture
def site_factory(short_tmp: Path) -> Iterator[SiteFactory]:
    """Make sites: `site_factory(nats={options of NatsServer}, **settings)`; no daemon may have met a bug."""
    sites: list[Site] = []

    def make(nats: dict[str, Any] | None = None, *, embedded: bool = False, **settings: Any) -> Site:
        folder = short_tmp / f"s{len(sites)}"
        server = None if embedded else NatsServer(folder / "n", **{"sync_interval": "2m", **(nats or {})})
        if server is not None:
            settings = {"url": server.url} | settings
        site = Site(Daemon(folder / "d", settings), server)
        sites.append(site)
        if server is not None:
            server.start()
        site.daemon.start()
        return site

    yield make
    for site in sites:
        site.daemon.kill()
        if site.server is not None:
            site.server.kill()
    for site in sites:
        assert "Traceback" not in site.daemon.log_text, site.daemon.log_text


@pytest.fixture
def site(site_factory: SiteFactory) -> Site:
    """A site where nothing has happened yet."""
    return site_factory()


@pytest.fixture
def other(site_factory: SiteFactory) -> Site:
    """Another one, to restore into."""
    return site_factory()


@pytest.fixture
def folder(short_tmp: Path) -> Path:
    """Where the backup goes."""
    return short_tmp / "backup"
