"""Backups: the streams, what waits in the outbox, and the configuration, in a folder that can be restored.

`manifest.py` says what a backup is; `taking.py` makes and continues one, `restoring.py` brings it back.
"""
