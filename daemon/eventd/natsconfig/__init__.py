"""The server configuration that keeps agents apart in NATS, and the part of config.yml that fits it.

`logins` (who logs in with what) and `permissions` (what each may do) → `plan` (all of that, from a
configuration) → `server` and `snippet` (the two files as text). Nothing here does I/O, but for the files
that secrets stand in.
"""
