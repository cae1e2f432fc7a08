"""What is set goes before what is inherited, and that before the default."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .schema import Section

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def given[T](value: T | None, otherwise: T) -> T:
    """Return a value if it is set."""
    return otherwise if value is None else value


def filled[T: DataclassInstance](defaults: T, section: Section | None) -> T:
    """Return settings with the values that a section sets; both call them by the same names."""
    if section is None:
        return defaults
    values: dict[str, Any] = {name: getattr(section, name) for name in section.__struct_fields__}
    return replace(defaults, **{name: value for name, value in values.items() if value is not None})
