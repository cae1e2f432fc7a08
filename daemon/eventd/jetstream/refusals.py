"""What a refusal by JetStream or the server means for the row and for its route: one literal table.

Codes are those of nats-server's `server/errors.json`. Whatever the table does not name is a stall:
nothing is dropped on a guess, and the route says in status what it waits for.
"""

import enum


class Verdict(enum.Enum):
    """What to do after a refusal."""

    RETRY = "retry"
    """Passing: send the same again after a short pause."""
    SPLIT = "split"
    """The batch was refused as a whole: send its rows one by one."""
    STALL = "stall"
    """The route cannot go on until somebody or something changes; tried again with backoff."""
    DEAD = "dead letter"
    """This row can never be stored as it is."""
    RECONCILE = "reconcile"
    """The stream is not what we thought: look at it again before anything is sent."""
    MOVED = "moved"
    """The stream's end is not where we saw it: somebody else wrote, or it lost something. Look again."""


VERDICTS: dict[int, Verdict] = {
    # The row itself.
    10054: Verdict.DEAD,  # message size exceeds maximum allowed
    10097: Verdict.DEAD,  # header size exceeds maximum allowed of 64k
    10165: Verdict.DEAD,  # invalid per-message TTL
    # A batch as a whole; its rows one by one show which one it was.
    10175: Verdict.SPLIT,  # atomic publish sequence is missing
    10176: Verdict.SPLIT,  # atomic publish batch is incomplete
    10177: Verdict.SPLIT,  # atomic publish unsupported header used
    10179: Verdict.SPLIT,  # atomic publish batch ID is invalid
    10199: Verdict.SPLIT,  # atomic publish batch is too large
    10200: Verdict.SPLIT,  # atomic publish batch commit is invalid
    10201: Verdict.SPLIT,  # atomic publish batch contains duplicate message id
    # Passing.
    10004: Verdict.RETRY,  # incomplete results
    10008: Verdict.RETRY,  # JetStream system temporarily unavailable
    10009: Verdict.RETRY,  # JetStream cluster can not handle request
    10158: Verdict.RETRY,  # duplicate message id is in process
    10163: Verdict.RETRY,  # expected last sequence per subject temporarily unavailable
    10167: Verdict.RETRY,  # too many requests
    10210: Verdict.RETRY,  # atomic publish too many inflight
    # Not the stream that we know.
    10059: Verdict.RECONCILE,  # stream not found
    10060: Verdict.RECONCILE,  # expected stream does not match
    10070: Verdict.RECONCILE,  # wrong last msg ID: somebody else wrote in between
    10071: Verdict.MOVED,  # wrong last sequence
    10164: Verdict.MOVED,  # wrong last sequence
    10166: Verdict.RECONCILE,  # per-message TTL is disabled
    10174: Verdict.RECONCILE,  # atomic publish is disabled
    # Storage, quota, state: stalls like everything that is not listed, named here for the reader.
    10002: Verdict.STALL,  # resource limits exceeded for account
    10023: Verdict.STALL,  # insufficient resources
    10028: Verdict.STALL,  # insufficient memory resources available
    10039: Verdict.STALL,  # JetStream not enabled for account
    10047: Verdict.STALL,  # insufficient storage resources available
    10076: Verdict.STALL,  # JetStream not enabled
    10077: Verdict.STALL,  # store failed: maximum messages or bytes exceeded with discard new, I/O
    10109: Verdict.STALL,  # invalid operation on sealed stream
    10118: Verdict.STALL,  # stream is offline
}


def verdict(err_code: int) -> Verdict:
    """Return what to do after JetStream answered with `err_code`."""
    return VERDICTS.get(err_code, Verdict.STALL)
