"""User nkeys: a login whose server knows the public half only."""

import secrets

import nkeys


def new_seed() -> str:
    """Return a new private key, as text that begins with `SU`."""
    return str(nkeys.encode_seed(secrets.token_bytes(32), nkeys.PREFIX_BYTE_USER).decode())


def public_key(seed: str) -> str:
    """Return the public half, as text that begins with `U`.

    Raises:
        ValueError: It is no seed of a user; the message does not quote it.
    """
    try:
        key = str(nkeys.from_seed(bytearray(seed.encode())).public_key.decode())
    except (nkeys.NkeysError, ValueError):
        raise ValueError("this is no nkey seed") from None
    if not key.startswith("U"):
        raise ValueError("this nkey seed is not that of a user")
    return key
