"""The metrics by name: each says in which key of the status document its number is, and what it means.

Names follow the conventions of Prometheus: counters end in `_total`, times are seconds, sizes bytes. A name
is never given another meaning; dashboards and alerts of others rely on it.
"""

from dataclasses import dataclass
from typing import Literal

MS = 0.001  # seconds; the status document has some times in milliseconds


@dataclass(frozen=True, slots=True)
class Family:
    """A metric.

    Attributes:
        key: Where the status document has the number, in the part that the table is about.
        help: One line for a person who writes a query.
        scale: What the number is multiplied by to be in the unit of the name.
        empty: The number where the document has none; None leaves the metric out then.
    """

    name: str
    key: str
    help: str
    kind: Literal["gauge", "counter"] = "gauge"
    scale: float = 1
    empty: float | None = None


def _counter(name: str, key: str, text: str, scale: float = 1) -> Family:
    return Family(name, key, text, "counter", scale)


DAEMON = (
    Family("eventd_start_time_seconds", "started_at", "When the daemon was started, as Unix time.", scale=MS),
)

CONFIG = (
    Family("eventd_config_generation", "generation", "Configurations that took effect since the start."),
    Family(
        "eventd_config_loaded_time_seconds",
        "loaded_at",
        "When the one in force took effect, as Unix time.",
        scale=MS,
    ),
    Family("eventd_config_file_usable", "usable", "1 if the config file could be used, 0 if it has errors."),
    Family("eventd_config_needs_restart", "waiting", "Settings of the file that only a restart would apply."),
)

SERVER = (
    Family("eventd_socket_connections", "connections", "Clients that are connected to the socket."),
    Family("eventd_socket_streams", "streams", "Streams of events that clients have open."),
    Family("eventd_socket_stuck", "stuck", "Clients that take nothing of what was sent to them."),
    Family("eventd_socket_streams_paused", "paused", "Streams whose client asks for no more events."),
    _counter("eventd_socket_connections_total", "accepted", "Connections ever made, also refused ones."),
    _counter("eventd_socket_frames_total", "frames", "Frames that clients have sent."),
    _counter("eventd_socket_emits_total", "emits", "Emits that clients have sent."),
    _counter("eventd_socket_events_total", "events", "Events in these emits, also refused ones."),
    _counter("eventd_socket_received_bytes_total", "bytes_in", "Bytes that clients have sent."),
    _counter("eventd_socket_sent_bytes_total", "bytes_out", "Bytes that were sent to clients."),
    _counter("eventd_socket_stalled_total", "stalled", "Connections closed since their client took nothing."),
)

REFUSALS = _counter(
    "eventd_refusals_total", "refused", "Requests that were answered with an error, by its code."
)

OUTBOX = (
    Family("eventd_outbox_pending_bytes", "bytes", "Room that events which wait for NATS take."),
    Family("eventd_outbox_max_bytes", "max_bytes", "Room for events that wait and dead letters."),
    _counter("eventd_outbox_accepted_total", "accepted", "Events that were stored and acknowledged."),
    _counter("eventd_outbox_repeated_total", "repeated", "Events that came again and were stored already."),
    _counter("eventd_outbox_commits_total", "commits", "Group commits, each of them one fsync."),
    _counter("eventd_outbox_commit_seconds_total", "commit_s", "Time that all group commits took together."),
    _counter(
        "eventd_outbox_lost_events_total", "lost_events", "Acknowledged events that a damaged outbox lost."
    ),
    _counter(
        "eventd_outbox_quarantines_total", "quarantines", "Damaged outboxes that were set aside and salvaged."
    ),
    Family("eventd_outbox_file_bytes", "file_bytes", "Size of outbox.db."),
    Family("eventd_outbox_wal_bytes", "wal_bytes", "Size of its write-ahead log."),
    Family("eventd_outbox_ledger_ids", "ledger_ids", "Ids that are known after their events are gone."),
    Family("eventd_disk_free_bytes", "disk_free", "Room on the disk of the data folder."),
    Family("eventd_disk_reserved_bytes", "min_free", "Free room below which new events are refused."),
    Family("eventd_disk_full", "disk_full", "1 while new events are refused for want of disk, else 0."),
)

ROUTE = (
    Family("eventd_route_enabled", "enabled", "1 if new events are taken for the route, else 0."),
    Family("eventd_route_connected", "connected", "1 while the route has a connection to NATS, else 0."),
    Family("eventd_route_unready_seconds", "unready_s", "For how long it could not ship; 0 while it can."),
    Family("eventd_route_full", "full", "1 while its events are refused for want of room, else 0."),
    Family("eventd_route_pending_events", "pending_rows", "Accepted events that are not in the stream yet."),
    Family("eventd_route_pending_bytes", "pending_bytes", "Room that they take in the outbox."),
    Family("eventd_route_max_bytes", "max_bytes", "Room that it may take now, dead letters too."),
    Family("eventd_route_oldest_pending_seconds", "oldest_age_s", "Age of the oldest of them.", empty=0),
    Family("eventd_route_retained_events", "retained_rows", "Shipped events kept to repair the stream."),
    Family("eventd_route_retained_bytes", "retained_bytes", "Room that they take in the outbox."),
    Family("eventd_route_retained_seconds", "retained_span_s", "How far back a repair reaches.", empty=0),
    Family("eventd_route_dead_letters", "dead", "Events that can never be published and wait for a person."),
    Family("eventd_route_dead_letter_bytes", "dead_bytes", "Room that they take in the outbox."),
    _counter("eventd_route_died_total", "died", "Events that became dead letters."),
    _counter("eventd_route_shipped_total", "shipped", "Events that were stored in the stream."),
    _counter("eventd_route_already_stored_total", "repeated", "Events that the stream turned out to have."),
    _counter("eventd_route_batches_total", "batches", "Publishes that were answered, of one event or many."),
    _counter("eventd_route_repairs_total", "repairs", "Times that the stream had lost messages."),
    _counter("eventd_route_lost_by_server_total", "lost_by_server", "Of those, messages beyond repair."),
    _counter("eventd_route_connects_total", "connects", "Connections that were made to NATS."),
    _counter("eventd_route_disconnects_total", "disconnects", "Connections to NATS that ended."),
    Family("eventd_route_round_trip_seconds", "rtt_ms", "The last round trip to NATS.", scale=MS),
    Family(
        "eventd_route_last_ack_time_seconds",
        "last_ack_at",
        "When NATS last acknowledged something, as Unix time.",
        scale=MS,
    ),
)

INDEX = (
    Family("eventd_index_events", "events", "Events in the index."),
    Family("eventd_index_bytes", "bytes", "Room that it takes on the disk."),
    Family("eventd_index_behind_events", "behind", "Accepted events that it has not taken in yet."),
    Family("eventd_index_behind_seconds", "behind_s", "For how long it has not taken in all of them."),
)

STREAM = (
    Family("eventd_index_stream_position", "position", "Sequence up to which the stream was read."),
    Family("eventd_index_stream_last", "last", "Last sequence of the stream at the last look."),
    Family("eventd_index_stream_behind_events", "behind", "Messages of the stream that were not read yet."),
)

EMBEDDED = (
    _counter("eventd_embedded_restarts_total", "restarts", "Times that the nats-server was started again."),
)
