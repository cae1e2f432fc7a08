"""What eventd does in a second, beside what the disk and nats-py do on the same machine in the same run.

`make bench` runs all of it; `python -m benchmarks --help` (with `tests` on the path) says what else there is.
Machines differ and are shared, so what counts are medians over rounds and the ratios to the controls.
"""
