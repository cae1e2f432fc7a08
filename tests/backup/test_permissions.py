"""Logins that may take no snapshots, or restore none: it is said at once, and done event by event."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backup.conftest import SiteFactory
from backup.site import messages
from eventd.natsconfig.permissions import route_permissions
from eventd.routes import DEFAULT_ROUTE
from support.jetstream import STREAM, JetStream

USER = {"user": "main", "password": "pw"}


def denying(*subjects: str) -> dict[str, Any]:
    """Return a server whose login may publish everything but these."""
    return _server({"publish": {"deny": list(subjects)}})


def allowing(publish: Sequence[str], subscribe: Sequence[str]) -> dict[str, Any]:
    """Return a server with such a login beside an administrator."""
    return _server({"publish": list(publish), "subscribe": list(subscribe)})


def _server(permissions: dict[str, Any]) -> dict[str, Any]:
    users = [{**USER, "permissions": permissions}, {"user": "admin", "password": "pw"}]
    return {"config": f"authorization {json.dumps({'users': users})}"}


def test_without_the_right_to_ask_for_one(site_factory: SiteFactory, folder: Path) -> None:
    """The messages are read; a note names the right and what grants it."""
    site = site_factory(denying("$JS.API.STREAM.SNAPSHOT.>"), **USER)
    other = site_factory()
    site.emit(1, 40)
    taken = site.backup(folder)[STREAM]
    assert (taken["kind"], taken["events"]) == ("records", 40)
    assert f"no permission to publish to $JS.API.STREAM.SNAPSHOT.{STREAM}" in taken["note"]
    assert "nats-config --snapshots" in taken["note"]
    restored = other.restore(folder)[STREAM]
    assert (restored["how"], restored["restored"], restored["compared"]) == ("events", 40, True)
    assert messages(other.streams.read()) == messages(site.streams.read())


def test_without_the_right_to_restore_one(site_factory: SiteFactory, folder: Path) -> None:
    """Its events go in one by one, in their order, and the report says why."""
    site, other = site_factory(), site_factory(denying("$JS.API.STREAM.RESTORE.>"), **USER)
    site.emit(1, 40)
    assert site.backup(folder)[STREAM]["kind"] == "snapshot"
    restored = other.restore(folder)[STREAM]
    assert (restored["how"], restored["restored"], restored["compared"]) == ("events", 40, True)
    assert f"$JS.API.STREAM.RESTORE.{STREAM}" in restored["note"]
    assert messages(other.streams.read()) == messages(site.streams.read())


def test_what_nats_config_grants_with_snapshots_is_enough(site_factory: SiteFactory, folder: Path) -> None:
    granted = route_permissions(DEFAULT_ROUTE, STREAM, ["openclaw.events.>"], snapshots=True)
    settings = allowing(granted.publish, granted.subscribe)
    site = site_factory(settings, sharedAccount=True, **USER)
    assert site.server is not None
    JetStream(site.server.url, user="admin", password="pw").make()
    site.daemon.wait_for(lambda status: status["routes"][0]["state"] == "idle", what="it has its stream")
    site.emit(1, 20)
    assert site.backup(folder)[STREAM]["kind"] == "snapshot"
