"""What the options of all commands share: types, and an environment variable that the help names."""

import functools
import time
from pathlib import Path
from typing import Any

import click

AGENT_VARIABLE = "EVENTD_AGENT"


class EnvOption(click.Option):
    """An option that an environment variable can set too: `EVENTD_` + the command + the option, as typed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"show_envvar": True, **kwargs})

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Read the variable."""
        self._name_variable(ctx)
        return super().resolve_envvar_value(ctx)

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Name the variable in the help."""
        self._name_variable(ctx)
        return super().get_help_extra(ctx)

    def _name_variable(self, ctx: click.Context) -> None:
        if self.envvar is None:  # click's own would have the name of the Python argument in it
            flag = max(self.opts, key=len).lstrip("-").replace("-", "_").upper()
            self.envvar = f"{ctx.auto_envvar_prefix}_{flag}"


class Time(click.ParamType[int]):
    """A point in time as people write it; becomes Unix milliseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the text."""
        from eventd.units import parse_time

        if isinstance(value, int):
            return value
        try:
            return parse_time(value, time.time_ns() // 1_000_000)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class Duration(click.ParamType[float]):
    """A span of time like `10s`; becomes seconds. A plain number is seconds.

    Args:
        positive: Refuse 0.
    """

    name = "duration"

    def __init__(self, *, positive: bool = False) -> None:
        self._positive = positive

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the text."""
        from eventd.units import parse_duration

        if isinstance(value, float):
            return value
        try:
            seconds = parse_duration(f"{value}s" if value.replace(".", "", 1).isdigit() else value)
            if self._positive and not seconds:
                self.fail(f"{value!r}: has to be more than 0", param, ctx)
            return seconds
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class Speed(click.ParamType[float]):
    """A speed like `10x`, or `max`, which becomes 0."""

    name = "speed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the text."""
        if isinstance(value, float):
            return value
        if value == "max":
            return 0.0
        try:
            speed = float(value.removesuffix("x"))
        except ValueError:
            speed = 0.0
        if not 0 < speed < float("inf"):
            self.fail(f"{value!r}: a speed is 1x, 0.5x, 10x or max", param, ctx)
        return speed


class JsonObject(click.ParamType[dict[str, Any]]):
    """A JSON object; becomes a dict."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Read the text."""
        import msgspec

        if isinstance(value, dict):
            return value
        try:
            return msgspec.json.decode(value, type=dict[str, Any])
        except (ValueError, RecursionError) as error:
            self.fail(f"not a JSON object: {error}", param, ctx)


option = functools.partial(click.option, cls=EnvOption)

json_option = option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")

file_type = click.Path(path_type=Path)
