"""Stub."""

from collections.abc import Sequence
from dataclasses import dataclass

from .reading import Message


@dataclass(slots=True)
class Topic:
    text: str
    messages: int
    sessions: int


def topics(messages: Sequence[Message], limit: int) -> list[Topic]:
    return []
