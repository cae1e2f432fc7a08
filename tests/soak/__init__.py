"""A real daemon under a mixed load and faults for a long while: does anything grow, is anything lost?

`make soak MINUTES=20` runs it; `python -m soak --help` (with `tests` on the path) says what else there is.
It fails when an acknowledged event is not stored once and in order, when a client sees what it must not, and
when something grows faster than its bound in `soak.gauges`.
"""
