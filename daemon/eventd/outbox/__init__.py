"""The outbox: events on disk from the moment they are accepted until the stream has them, and a while longer.

- `outbox`: the facade on the event loop; `writer`: the thread with its group commit; `room`: a full disk.
- `store`: transactions; `appending`, `settling`, `deadletters`, `upkeep`: the work done in them.
- `connection`: pragmas and schema; `sql`, `*.sql`: the statements; `checks`: checksums and keys.
- `salvage`: damage; `pages`, `wal`: the file without SQLite; `remains`, `losses`: what is left, what not.
- `files`, `lock`, `mark`, `disk`: the small files beside the database. `model`, `settings`: plain data.
"""
