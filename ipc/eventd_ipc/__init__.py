"""eventd's socket protocol and its Python clients.

`EventLog` is for agents: it never blocks and never raises. `connect` gives the asynchronous client, and
`eventd_ipc.blocking.connect` the one for scripts and threads. Nothing is imported before it is used.
"""

TYPE_CHECKING = False  # typing's own is the same, and takes 3 ms to load

if TYPE_CHECKING:
    from .builders import Run
    from .client import Client, connect
    from .errors import EventdClientError
    from .eventlog import EventLog
    from .events import Event

_MODULES = {
    "Client": "client",
    "Event": "events",
    "EventLog": "eventlog",
    "EventdClientError": "errors",
    "Run": "builders",
    "connect": "client",
}

__all__ = ["Client", "Event", "EventLog", "EventdClientError", "Run", "connect"]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
