"""The header block of a message, read the way nats-server reads it.

`Nats-Expected-Stream` is our proof of origin. The server stores a message that names a stream in that stream
only, and every message of ours names its own. So a message of stream X that names X was published to X by
somebody with the permission to do so. What the server itself puts there, because a reply subject pointed
into the subjects of X, names no stream: an answer has no such header, and a message that lies in stream Y
was refused there if it named X.

That holds only as far as we read what the server has read. It takes the first header of a name, knows names
by their exact letters, and ends lines at CRLF alone; a reader that trims names, or unfolds lines, would see
`Nats-Expected-Stream : X` where the server saw nothing.
"""

EXPECTED_STREAM = "Nats-Expected-Stream"

_NAME = EXPECTED_STREAM.encode()
_FIRST_LINE = b"NATS/1.0\r\n"  # a status stands in this line, if anything; what was published has none


def parse_headers(raw: bytes) -> dict[str, str]:
    """Decode a header block (`NATS/1.0`, then lines `Name: value`); the first of a name counts.

    `EXPECTED_STREAM` is left out where servers could disagree about it: its name may stand only once in the
    whole block, as the very name of a header.
    """
    headers: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name, value.strip())
    if EXPECTED_STREAM in headers and (raw.count(_NAME) != 1 or not raw.startswith(_FIRST_LINE)):
        del headers[EXPECTED_STREAM]
    return headers
