"""Who speaks, for tests that begin behind the gate."""

from eventd.access.identity import Identity, Proof


def speaker(agent: str) -> Identity:
    """Return who speaks where there are no rules."""
    return Identity(agent, admin=True, proof=Proof.OPEN)


def agent(name: str, *, can_read: str = "", can_write_as: str = "") -> Identity:
    """Return an agent that has proved its name.

    Args:
        can_read, can_write_as: Names with spaces between.
    """
    grants = {name: frozenset(can_read.split())} if can_read else {}
    return Identity(
        name, admin=False, proof=Proof.TOKEN, grants=grants, can_write_as=frozenset(can_write_as.split())
    )
