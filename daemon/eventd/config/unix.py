"""Unix users, groups and permissions, as people write them."""

import grp
import pwd
import re

LARGEST_ID = 2**32 - 2  # the largest number means "no change" to chown
OWNERS = 0o600  # permissions that the owner of a socket needs

_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_MODE = re.compile(r"0?o?[0-7]{3}", re.ASCII)


def parse_user(text: str) -> int:
    """Return the number of a user, given by name or number.

    Raises:
        ValueError: There is none; it quotes nothing of the text.
    """
    if _NUMBER.fullmatch(text):
        return _checked(int(text))
    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        raise ValueError("there is no such user on this machine") from None


def parse_group(text: str) -> int:
    """Return the number of a group, given by name or number.

    Raises:
        ValueError: There is none; it quotes nothing of the text.
    """
    if _NUMBER.fullmatch(text):
        return _checked(int(text))
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise ValueError("there is no such group on this machine") from None


def parse_mode(text: str) -> int:
    """Return the permissions of a socket, written as `0660`.

    Raises:
        ValueError: They are none, or keep the daemon itself out.
    """
    if not _MODE.fullmatch(text):
        raise ValueError("has to be permissions like 0660")
    mode = int(text.replace("o", ""), 8)
    if mode & OWNERS != OWNERS:
        raise ValueError("has to let the daemon's own user read and write, like 0600 or 0660")
    return mode


def _checked(number: int) -> int:
    if number > LARGEST_ID:
        raise ValueError(f"has to be at most {LARGEST_ID}")
    return number
