"""What service managers (systemd, launchd) are told of the daemon, and what they need to run it.

- `notify`: messages to systemd; `starting`: patience for a long start; `watchdog`: an end for a stuck daemon.
- `installation`: the unit files for this very eventd, and what a manager is told, in order.
"""
