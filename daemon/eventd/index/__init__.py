"""The index: a disposable SQLite database beside the outbox, from which everything is read."""
