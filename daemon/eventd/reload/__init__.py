"""The configuration while the daemon runs: what has changed, whether it can be used, and its taking effect.

- `files`, `watch`: notice that the config file, or a file that it names, holds something else.
- `changes`: say what differs between two configurations, and what of it needs a restart.
- `reloader`: load, check, compare, and only then have it applied (by `eventd.applying`).
- `signals`, `handler`: SIGHUP, and the requests `reload` and `reroute`.
- `status`: what a person wants to know about it.
"""
