"""Figures as people read them: rounded, with a unit."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_SPANS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def count(number: int, noun: str) -> str:
    """Return `1 event`, `12,034 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: float) -> str:
    """Return bytes to about three digits: `0 B`, `3.4 MiB`, `123 GiB`."""
    value = float(number)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def span(seconds: float | None) -> str:
    """Return a duration in its two largest units: `3h12m`, `45s`; `-` for none."""
    if seconds is None:
        return "-"
    rest = int(seconds)
    parts: list[str] = []
    for unit, length in _SPANS:
        many, rest = divmod(rest, length)
        if many or parts:
            parts.append(f"{many}{unit}")
        if len(parts) == 2:
            break
    return "".join(parts) or "0s"
