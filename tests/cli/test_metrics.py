"""`eventd metrics`: what Prometheus reads, byte for byte."""

import json

from cli.support import Eventd
from eventd_ipc.messages import Metrics, Result
from ipc.support.scripted import ScriptedServer

TEXT = '# TYPE a gauge\na{route="é"} 1.0\n'


def test_the_text_is_printed_as_it_came(eventd: Eventd, server: ScriptedServer) -> None:
    """Nothing around it, so that it can be redirected into a file for a collector."""
    server.answers[Metrics] = lambda peer, request: peer.send(Result(request.id, {"text": TEXT}))
    ended = eventd("metrics")
    assert (ended.code, ended.out.decode(), ended.err) == (0, TEXT, "")


def test_dashboard_and_alerts_need_no_daemon(eventd: Eventd, server: ScriptedServer) -> None:
    """They are made for the machine where Prometheus and Grafana are."""
    server.stop()
    assert json.loads(eventd("metrics", "--dashboard").out)["title"] == "eventd"
    assert b"alert: EventdRefusingEvents" in eventd("metrics", "--alerts").out
