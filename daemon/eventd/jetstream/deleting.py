"""Erasing messages of a stream: the server overwrites them on its disk, and removes them."""

from typing import Any

from ..errors import NatsError
from .session import ApiError, Session
from .streams import STREAM_NOT_FOUND, stream_info

SEALED = 10109
DELETE_FAILED = 10057
NO_MESSAGE = "no message found"  # what it says of one that is gone by now
NOT_PERMITTED = "message delete not permitted"
SEQUENCE_NOT_FOUND = 10043


class DeletionDenied(NatsError):
    """The stream is configured so that nothing is ever deleted from it."""

    def __init__(self, stream: str, setting: str) -> None:
        super().__init__(
            f"stream {stream} lets nobody delete messages: its setting {setting} is on",
            hint="that setting cannot be taken back; the events go when they are too old, or with the stream",
        )


async def erase_message(session: Session, stream: str, seq: int) -> None:
    """Erase the message at a sequence; one that is gone already is fine.

    Raises:
        DeletionDenied: The stream never lets go of a message.
        PermissionMissing: The login may not do it.
        ApiError: JetStream cannot do it now.
        RequestTimeout, NoResponders, LinkLost: As for `Session.api`; it may be done.
    """
    try:
        await session.api(_verb(stream), {"seq": seq, "no_erase": False})
    except ApiError as error:
        if error.err_code in (SEQUENCE_NOT_FOUND, STREAM_NOT_FOUND) or _says(error, NO_MESSAGE):
            return
        if error.err_code == SEALED:
            raise DeletionDenied(stream, "sealed") from error
        if _says(error, NOT_PERMITTED):
            raise DeletionDenied(stream, "deny_delete") from error
        raise


async def check_erasing(session: Session, stream: str) -> None:
    """Find out whether messages of a stream may be erased, without touching any.

    A stream that is not there is fine.

    Raises:
        DeletionDenied, PermissionMissing: They may not.
        ApiError, RequestTimeout, NoResponders, LinkLost: It cannot be found out now.
    """
    try:
        config: dict[str, Any] = (await stream_info(session, stream))["config"]
    except ApiError as error:
        if error.err_code == STREAM_NOT_FOUND:
            return
        raise
    for setting in ("sealed", "deny_delete"):
        if config.get(setting):
            raise DeletionDenied(stream, setting)
    try:
        # Without a body it is refused as nonsense, after the permission was looked at. A sequence that nobody
        # has would go through the log of a replicated stream.
        await session.api(_verb(stream))
    except ApiError:
        return


def _verb(stream: str) -> str:
    return f"STREAM.MSG.DELETE.{stream}"


def _says(error: ApiError, text: str) -> bool:
    return error.err_code == DELETE_FAILED and text in error.description
