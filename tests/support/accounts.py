"""Operator, account and user of a nats-server in JWT mode: the only kind of login that expires by itself.

The format is that of `nsc`: https://github.com/nats-io/jwt (claims version 2).
"""

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys

UNLIMITED = -1


class Key:
    """An nkey pair."""

    def __init__(self, kind: int) -> None:
        self.seed = nkeys.encode_seed(os.urandom(32), kind)
        self._pair = nkeys.from_seed(self.seed)
        self.public = self._pair.public_key.decode()

    def sign(self, subject: "Key", name: str, claims: dict[str, Any], expires: float | None = None) -> str:
        """Return a JWT that this key issues about another one."""
        claim: dict[str, Any] = {
            "iat": int(time.time()),
            "iss": self.public,
            "name": name,
            "sub": subject.public,
            "nats": {"version": 2, **claims},
        }
        if expires is not None:
            claim["exp"] = int(expires)
        digest = hashlib.sha256(json.dumps(claim).encode()).digest()
        claim["jti"] = base64.b32encode(digest).decode().rstrip("=")
        parts = [_encode({"typ": "JWT", "alg": "ed25519-nkey"}), _encode(claim)]
        signature = self._pair.sign(".".join(parts).encode())
        return ".".join([*parts, _base64(signature)])


class Accounts:
    """One operator, one account with JetStream, and one user in it.

    Attributes:
        server_config: For `NatsServer(config=…)`.
    """

    def __init__(self) -> None:
        operator, system = Key(nkeys.PREFIX_BYTE_OPERATOR), Key(nkeys.PREFIX_BYTE_ACCOUNT)
        self._account, self._user = Key(nkeys.PREFIX_BYTE_ACCOUNT), Key(nkeys.PREFIX_BYTE_USER)
        plain = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), UNLIMITED)
        storage = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), UNLIMITED)
        limits = {"wildcards": True, **plain}
        own = {"type": "operator", "system_account": system.public}
        agents = {"type": "account", "limits": limits | storage}
        preload = {
            system.public: operator.sign(system, "SYS", {"type": "account", "limits": limits}),
            self._account.public: operator.sign(self._account, "AGENTS", agents),
        }
        self.server_config = (
            f"operator: {operator.sign(operator, 'operator', own)}\n"
            f"system_account: {system.public}\n"
            f"resolver: MEMORY\nresolver_preload: {json.dumps(preload)}\n"
        )

    def write_creds(self, file: Path, *, valid: float | None = None) -> None:
        """Write a creds file for the user, good for so many seconds (None: for ever)."""
        unlimited = dict.fromkeys(("subs", "data", "payload"), UNLIMITED)
        expires = None if valid is None else time.time() + valid
        jwt = self._account.sign(self._user, "agents", {"type": "user", **unlimited}, expires)
        fresh = file.with_suffix(".new")
        fresh.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{self._user.seed.decode()}\n------END USER NKEY SEED------\n"
        )
        fresh.chmod(0o600)
        fresh.replace(file)


def _encode(document: dict[str, Any]) -> str:
    return _base64(json.dumps(document).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
