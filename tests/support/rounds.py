"""How long the fault loops are: short in every run of the tests, long under `EVENTD_FAULTS=full`."""

import os

FULL = os.environ.get("EVENTD_FAULTS") == "full"


def rounds(short: int, full: int) -> int:
    """Return how often to do something."""
    return full if FULL else short


DAEMON_KILLS = rounds(8, 60)
BROKER_KILLS = rounds(5, 50)
BROKER_PAUSES = rounds(3, 10)  # in the full form each until it shows in status
FALLBACK_KILLS = rounds(4, 40)  # of daemon and broker in turn, where the stream takes no batches
LOST_ACKS = rounds(1, 20)  # outages longer than the duplicate window, each with an ack lost
ROLLBACKS = rounds(3, 25)  # restored copies of the broker's store, under load
DAMAGED_OUTBOXES = rounds(1, 20)  # of each kind of damage to each file
EMBEDDED_KILLS = rounds(4, 25)  # its restarts are further and further apart
DISK_FILLS = rounds(2, 20)
STOPS = rounds(3, 30)  # SIGTERM under load
EVENT_LOG_KILLS = rounds(4, 50)
CHAOS_RUNS = rounds(1, 10)
CHAOS_ROUNDS = rounds(12, 40)  # random faults in a run
INDEX_ROUNDS = rounds(3, 20)  # kills, outages and rollbacks under which the index is fed
CLUSTER_ROUNDS = rounds(1, 5)  # of each thing that can happen to the nodes of a cluster
HANDED_OVER_RESTARTS = rounds(3, 100)  # stops and kills in turn, under load, with the socket held open
SPOOLED_CALLS = rounds(48, 1000)  # of hooks, by eight processes at once, while the daemon is dead or dies
