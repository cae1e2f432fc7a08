"""The replicas of a stream: who holds it, whether its leader still leads, and whether it is placed as wanted.

**A leader that is cut off** does not know at once. For 10 s and more it goes on answering, with what it had
(nats-server's `lostQuorumInterval`), while the others have elected another one, 4 s after its last heartbeat
at the earliest, and store on. It cannot store anything itself. What gives it away is when it has last heard
from its followers, which it tells with everything else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from ..errors import NatsError
from ..routes import StreamSettings

NANOSECONDS = 1_000_000_000

HEARD = 3.0  # seconds; followers answer every second, and nobody else is elected within 4
SILENT = 5.0  # seconds after which a majority that is not heard is trouble

NO_PEERS = 10005
NOT_CLUSTERED = 10074
MOVE_AND_SCALE = 10123
UNDER_WAY = 10124
REFUSALS = frozenset(
    {
        NO_PEERS,  # no suitable peers for placement, with the reason
        NOT_CLUSTERED,  # replicas > 1 not supported in non-clustered mode
        10002,  # resource limits exceeded for account
        10006,  # JetStream not in clustered mode
        10010,  # JetStream clustering support required
        10011,  # tags placement not supported for operation
        10023,  # insufficient resources
        10028,  # insufficient memory resources available
        10036,  # not currently supported in clustered mode
        10047,  # insufficient storage resources available
        10061,  # Replicas configuration can not be updated
        10120,  # maximum account storage would be exceeded
        MOVE_AND_SCALE,  # can not move and scale a stream in a single update
        UNDER_WAY,  # stream move already in progress
    }
)
"""How JetStream says that a stream cannot lie where it is wanted, by nats-server's `errors.json`."""

KEYS = frozenset({"num_replicas", "placement"})
"""What says in a stream's configuration where it lies."""


class NoQuorum(NatsError):
    """Who answers as a stream's leader hears too few replicas to store anything, or to be believed."""


class NoLeader(NoQuorum):
    """A stream has no leader now. While one is elected any replica answers, with what it happens to have."""


@dataclass(frozen=True, slots=True)
class Follower:
    """A replica that is not the leader.

    Attributes:
        silent: Seconds since the leader has heard from it, or since it leads; None: nobody knows.
        offline: Whether the cluster takes its server for gone.
        lag: Messages that it has still to take.
    """

    name: str
    silent: float | None
    offline: bool
    lag: int

    @property
    def missing(self) -> bool:
        """Whether it does not seem to be there."""
        return self.offline if self.silent is None else self.silent > SILENT


@dataclass(frozen=True, slots=True)
class Replicas:
    """Who holds a stream, as its leader says.

    Attributes:
        term: The leader and the time since when it leads: another one means that there was an election.
    """

    leader: str = ""
    term: str = ""
    followers: tuple[Follower, ...] = ()

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> Self:
        """Read JetStream's description of a stream; a server on its own tells of no replicas."""
        cluster = info.get("cluster") or {}
        leader = str(cluster.get("leader") or "")
        return cls(
            leader,
            f"{leader} {cluster.get('leader_since', '')}",
            tuple(_follower(replica, _leading(info)) for replica in cluster.get("replicas") or ()),
        )

    @property
    def count(self) -> int:
        """How many there are."""
        return 1 + len(self.followers)

    def check(self, stream: str) -> None:
        """See whether anything can be stored.

        Raises:
            NoLeader: There is an election, or nobody can be elected.
            NoQuorum: A majority is missing.
        """
        self._check(stream, [follower for follower in self.followers if follower.missing])

    def confirm(self, stream: str) -> None:
        """See whether the leader surely leads, so that what it tells is the truth.

        Raises:
            NoLeader: There is none.
            NoQuorum: It may have been cut off, and another one elected.
        """
        self._check(stream, [f for f in self.followers if f.silent is None or f.silent > HEARD])

    def _check(self, stream: str, missing: Sequence[Follower]) -> None:
        if self.followers and not self.leader:
            raise NoLeader(
                f"stream {stream} has no leader now: one is elected once a majority of the replicas is there",
                hint="bring the servers back that are down, or restore the network between them",
            )
        if len(missing) > (self.count - 1) // 2:
            raise NoQuorum(
                f"stream {stream} has no majority of its {self.count} replicas: its leader {self.leader} "
                f"does not hear {', '.join(f.name for f in missing)}",
                hint="bring these servers back, or restore the network between them",
            )

    def notes(self, stream: str) -> list[str]:
        """Return what an operator should know of replicas that are not there."""
        missing = [follower.name for follower in self.followers if follower.missing]
        if not missing or not self.leader:
            return []
        there = f"{self.count - len(missing)} of {self.count} replicas"
        return [f"stream {stream} goes on with {there}: no answer from {', '.join(missing)}"]


def _leading(info: Mapping[str, Any]) -> float | None:
    """Return for how many seconds the leader leads; it was in touch with a majority when it was elected."""
    try:
        since = datetime.fromisoformat(info["cluster"]["leader_since"])
        return max(0.0, (datetime.fromisoformat(info["ts"]) - since).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None


def _follower(replica: Mapping[str, Any], leading: float | None) -> Follower:
    silent = int(replica.get("active") or 0) / NANOSECONDS
    known = silent > 0 or bool(replica.get("current"))  # never heard is told as no time at all
    return Follower(
        str(replica.get("name")),
        silent if known else leading,
        bool(replica.get("offline")),
        int(replica.get("lag") or 0),
    )


def placing(settings: StreamSettings) -> str:
    """Return for a person where a stream is wanted."""
    where = f"{settings.replicas} replica{'s' if settings.replicas > 1 else ''}"
    if settings.placement is not None:
        if settings.placement.cluster:
            where += f" in cluster {settings.placement.cluster}"
        if settings.placement.tags:
            where += f" on servers with the tags {', '.join(settings.placement.tags)}"
    return where


def placing_remedy(err_code: int) -> str:
    """Return what can be done about a stream that cannot lie where it is wanted."""
    if err_code == NOT_CLUSTERED:
        return "this server is not in a cluster: set stream.replicas: 1, or let url name the servers of one"
    if err_code in (MOVE_AND_SCALE, UNDER_WAY):
        return "one follows the other, by itself"
    return (
        "bring the servers back that are down, add some that fit, or lower stream.replicas "
        "(and correct stream.placement) in config.yml"
    )
