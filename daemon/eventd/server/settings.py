"""The server's bounds: every queue, buffer and wait has one."""

from dataclasses import dataclass

from eventd_ipc.messages import Limits

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the server takes and how long it waits. Sizes in bytes, times in seconds.

    Attributes:
        max_frame: Largest frame; refused on its announced length.
        max_event: Largest event, as the JSON that is stored.
        max_events: Most events in one emit.
        max_in_flight: Emits of one connection without an ack; above it the connection is not read.
        max_in_flight_total: The same of all connections together; above it none is read.
        max_outgoing: Replies that one client has not taken yet; above it the connection is not read.
        max_requests: Requests of one connection under way, beside emits and streams; above it the connection
            is not read.
        max_streams: Streams (`tail`) of one connection at a time; one more is told to `slow_down`.
        max_connections: Clients at a time; one more is told `too_many_connections`.
        hello_timeout: A connection that has not said hello by then is closed.
        stall_timeout: A client that takes nothing of what was sent to it for so long is closed.
        drain_timeout: How long commits and replies under way may still take when a connection ends.
    """

    max_frame: int = 8 * MIB
    max_event: int = 1 * MIB
    max_events: int = 1000
    max_in_flight: int = 4 * MIB
    max_in_flight_total: int = 64 * MIB
    max_outgoing: int = 1 * MIB
    max_requests: int = 32
    max_streams: int = 8
    max_connections: int = 1024
    hello_timeout: float = 5.0
    stall_timeout: float = 30.0
    drain_timeout: float = 5.0

    @property
    def limits(self) -> Limits:
        """What a client is told in welcome."""
        return Limits(
            max_frame=self.max_frame,
            max_event=self.max_event,
            max_events=self.max_events,
            max_in_flight=self.max_in_flight,
        )
