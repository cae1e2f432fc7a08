"""The daemon's errors: one tree, each message with its remedy, the cause kept by `raise … from`."""


class EventdError(Exception):
    """Base of every error that eventd raises on purpose.

    Attributes:
        hint: What a person can do about it; shown after the message.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(EventdError):
    """The configuration cannot be used; the message names file, line and key."""


class AlreadyRunning(EventdError):
    """Another daemon holds the socket or the outbox; the message names it."""


class OutboxError(EventdError):
    """The outbox cannot be used."""


class DiskFailure(OutboxError):
    """The disk did not confirm a write. Never retried: the daemon stops, and opens the file afresh.

    After a failed fsync the kernel marks the pages clean, so a second fsync "succeeds" without having
    written them (Rebello et al., USENIX ATC 2020).
    """


class IndexUnusable(EventdError):
    """The index cannot be used now; events are accepted and shipped all the same."""


class NothingFound(EventdError):
    """There is nothing of what was asked for; the message says where it was looked."""


class NatsError(EventdError):
    """NATS refused or did not answer."""


class LinkLost(NatsError):
    """The connection is gone; what was under way may or may not have been stored."""


class EmbeddedServerError(EventdError):
    """The embedded nats-server cannot be started."""
