"""Who is at the other end of a connection, as far as it was proved, and what that lets them do."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

NOBODY: frozenset[str] = frozenset()


class Proof(enum.StrEnum):
    """How eventd knows who speaks; told in welcome."""

    OPEN = "open"
    """It does not: there are no rules, and whoever may open the socket is the one user of all agents."""
    TOKEN = "token"  # noqa: S105 - a word of the protocol
    PEER = "peer"
    """By the user or group of the process, as the kernel says it."""
    UNLISTED = "unlisted"
    """It does not, and `allowUnlisted` lets the name in all the same."""
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Identity:
    """What a connection may do. `Gate` has one for each set of rights, so that they compare by identity.

    Attributes:
        agent: Who speaks; owns the events that name nobody.
        admin: May read everything, write as everybody, and look after the daemon.
        grants: `canRead` of the agent; of every agent for an admin, who may ask as each of them.
        can_write_as: Other agents as whom events may be written.
    """

    agent: str
    admin: bool
    proof: Proof
    grants: Mapping[str, frozenset[str]] = field(default_factory=dict)
    can_write_as: frozenset[str] = NOBODY

    @property
    def rights(self) -> tuple[object, ...]:
        """What it may do; equal to that of another one who may do the same."""
        return self.admin, self.grants, self.can_write_as

    def covers(self, other: "Identity") -> bool:
        """Whether it may do all that another one may."""
        return (self.admin or not other.admin) and all(
            self.granted(agent) >= granted for agent, granted in other.grants.items()
        )

    def granted(self, agent: str) -> frozenset[str]:
        """Return the agents whose internal events an agent may read, beside its own."""
        return self.grants.get(agent, NOBODY)

    def may_write_as(self, agent: str) -> bool:
        """Whether events of an agent are taken from this connection."""
        return self.admin or agent == self.agent or agent in self.can_write_as
