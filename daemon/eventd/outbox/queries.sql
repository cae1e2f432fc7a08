-- Every query of the outbox. `sql.py` loads them by name; lines that begin with "--" are comments.
-- The size of a row, wherever it is summed, is :overhead plus its three blobs (store.ROW_OVERHEAD).

-- Appending ------------------------------------------------------------------------------------------

-- name: append_ledger
-- FAIL, not ABORT: the whole transaction is rolled back on a repeat anyway, so no statement journal is needed.
INSERT OR FAIL INTO ledger (agent, key, digest, seq) VALUES (?, ?, ?, ?)

-- name: append_rows
INSERT OR FAIL INTO rows (seq, route, owner, msg_id, subject, flags, at, crc, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: known_digest
SELECT digest, seq FROM ledger WHERE agent = ? AND key = ?

-- name: add_agent
INSERT INTO agents (number, name, crc) VALUES (?, ?, ?)

-- name: agents
SELECT number, name, crc FROM agents

-- name: add_mark
INSERT OR REPLACE INTO marks (at, seq) VALUES (?, ?)

-- name: newest_mark
SELECT coalesce(max(at), 0) FROM marks

-- Facts ----------------------------------------------------------------------------------------------

-- name: facts
SELECT key, value, crc FROM meta

-- name: set_fact
INSERT INTO meta (key, value, crc) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, crc = excluded.crc

-- name: schema_text
SELECT coalesce(group_concat(sql, ';'), '') FROM (SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name)

-- name: last_numbers
SELECT coalesce((SELECT max(seq) FROM rows), 0), coalesce((SELECT max(number) FROM dead), 0)

-- Routes ---------------------------------------------------------------------------------------------

-- name: routes
SELECT number, name, stream, prefix, settled, stream_seq, stream_created, rewinds, crc FROM routes ORDER BY number

-- name: put_route
INSERT INTO routes (number, name, stream, prefix, settled, stream_seq, stream_created, rewinds, crc)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (number) DO UPDATE SET settled = excluded.settled, stream_seq = excluded.stream_seq,
    stream_created = excluded.stream_created, rewinds = excluded.rewinds, crc = excluded.crc

-- name: pending_totals
-- One pass over the table is cheaper than a look-up per entry of the index.
SELECT route, count(*), sum(:overhead + length(msg_id) + length(subject) + length(body))
FROM rows NOT INDEXED JOIN routes ON routes.number = rows.route
WHERE seq > settled GROUP BY route

-- name: dead_totals
SELECT route, count(*), sum(:overhead + length(msg_id) + length(subject) + length(body)) FROM dead GROUP BY route

-- name: oldest_at
-- Accept time of the first row of a route above a seq.
SELECT at FROM rows WHERE route = ? AND seq > ? ORDER BY seq LIMIT 1

-- name: first_row
SELECT seq, at FROM rows WHERE route = ? ORDER BY seq LIMIT 1

-- Rows -----------------------------------------------------------------------------------------------

-- name: rows_after
SELECT seq, route, owner, msg_id, subject, flags, at, crc, body FROM rows
WHERE route = ? AND seq > ? ORDER BY seq LIMIT ?

-- name: first_row_of
-- The oldest row of a route whose id begins so: that of an agent.
SELECT seq FROM rows WHERE route = :route AND seq > :after AND substr(msg_id, 1, length(:prefix)) = :prefix
ORDER BY seq LIMIT 1

-- name: newest_by_agent
SELECT substr(msg_id, 1, owner), max(seq) FROM rows WHERE route = ? AND seq > ? GROUP BY 1

-- name: accepted_after
-- Rows of all routes, pending and retained, as the index takes them.
SELECT seq, route, owner, msg_id, subject, flags, at, crc, body FROM rows WHERE seq > ? ORDER BY seq LIMIT ?

-- name: row
SELECT seq, route, owner, msg_id, subject, flags, at, crc, body FROM rows WHERE seq = ?

-- name: row_loosely
-- A row that cannot be read as what it should be, as far as it can be read at all.
SELECT CAST(msg_id AS BLOB), CAST(subject AS BLOB), CAST(at AS INTEGER), CAST(body AS BLOB),
    :overhead + length(msg_id) + length(subject) + length(body)
FROM rows WHERE seq = :seq AND route = :route

-- name: rewrite_row
UPDATE rows SET flags = ?2, crc = ?3, body = ?4 WHERE seq = ?1

-- name: forgotten_in
-- Whether a stretch of a route has rows that are forgotten.
SELECT EXISTS (SELECT 1 FROM rows WHERE route = ? AND seq BETWEEN ? AND ? AND flags & 24 AND flags & 16)

-- name: tombstone_after
-- Whether a tombstone waits behind a watermark.
SELECT EXISTS (SELECT 1 FROM rows WHERE route = ? AND seq > ? AND flags & 24 AND flags & 8)

-- name: others_after
-- Whether anything but tombstones waits behind a row.
SELECT EXISTS (SELECT 1 FROM rows WHERE route = ? AND seq > ? AND NOT flags & 8)

-- name: row_called
SELECT seq FROM rows WHERE seq = ? AND route = ? AND msg_id = ?

-- name: row_in_range
SELECT seq, msg_id FROM rows WHERE route = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT 1 OFFSET ?

-- name: range_totals
SELECT count(*), coalesce(sum(:overhead + length(msg_id) + length(subject) + length(body)), 0)
FROM rows WHERE route = :route AND seq BETWEEN :first AND :last

-- name: delete_row
DELETE FROM rows WHERE seq = ?

-- name: delete_range
DELETE FROM rows WHERE route = ? AND seq BETWEEN ? AND ?

-- Runs -----------------------------------------------------------------------------------------------

-- name: runs
SELECT route, first, last, count, stream_seq, settled_at, bytes, crc FROM runs ORDER BY route, first

-- name: runs_of
SELECT route, first, last, count, stream_seq, settled_at, bytes, crc FROM runs WHERE route = ? ORDER BY first

-- name: oldest_runs
SELECT route, first, last, count, stream_seq, settled_at, bytes, crc FROM runs WHERE route = ? ORDER BY first LIMIT 64

-- name: newest_run
SELECT route, first, last, count, stream_seq, settled_at, bytes, crc FROM runs
WHERE route = ? ORDER BY first DESC LIMIT 1

-- name: runs_reaching
-- Runs with rows above a seq.
SELECT route, first, last, count, stream_seq, settled_at, bytes, crc FROM runs
WHERE route = ? AND last > ? ORDER BY first

-- name: run_before
-- The run that a settled row is in.
SELECT route, first, last, count, stream_seq, settled_at, bytes, crc FROM runs
WHERE route = ? AND first <= ? ORDER BY first DESC LIMIT 1

-- name: put_run
INSERT OR REPLACE INTO runs (route, first, last, count, stream_seq, settled_at, bytes, crc)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: delete_run
DELETE FROM runs WHERE route = ? AND first = ?

-- Dead letters ---------------------------------------------------------------------------------------

-- name: add_dead
INSERT INTO dead (number, route, owner, msg_id, subject, flags, at, reason, code, died_at, body, crc)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: dead_after
SELECT number, route, owner, msg_id, subject, flags, at, reason, code, died_at, body, crc FROM dead
WHERE number > ? ORDER BY number LIMIT ?

-- name: dead_numbers_after
SELECT number FROM dead WHERE number > ? ORDER BY number LIMIT ?

-- name: dead_letter
SELECT number, route, owner, msg_id, subject, flags, at, reason, code, died_at, body, crc FROM dead WHERE number = ?

-- name: rewrite_dead
UPDATE dead SET reason = ?2, crc = ?3 WHERE number = ?1

-- name: delete_dead
DELETE FROM dead WHERE number = ?

-- name: move_ledger
-- The id now belongs to another row (or, after a drop, to none: then it only ages from here).
UPDATE ledger SET seq = ?4 WHERE agent = ?1 AND key = ?2 AND seq = ?3

-- name: forget_digest
UPDATE ledger SET digest = -1 WHERE agent = ? AND key = ?

-- name: put_ledger
INSERT OR REPLACE INTO ledger (agent, key, digest, seq) VALUES (?, ?, ?, ?)

-- Upkeep ---------------------------------------------------------------------------------------------

-- name: ledger_ids
SELECT count(*) FROM ledger

-- name: seq_before
-- Everything up to this seq was accepted before the given time.
SELECT coalesce(max(seq), 0) FROM marks WHERE at <= ?

-- name: drop_marks
-- The newest of the old marks stays: it is the one that tells the floor.
DELETE FROM marks WHERE at < (SELECT max(at) FROM marks WHERE at <= ?)

-- name: sweep_boundary
SELECT agent, key FROM ledger WHERE (agent, key) > (?, ?) ORDER BY agent, key LIMIT 1 OFFSET ?

-- name: sweep
-- Let go of the ids of one stretch of the ledger, but never that of a row that is still here, or of a forgotten event.
DELETE FROM ledger WHERE (agent, key) > (:agent, :key) AND (agent, key) <= (:last_agent, :last_key) AND seq <= :floor
    AND digest IS NOT -1
    AND NOT EXISTS (SELECT 1 FROM rows WHERE rows.seq = ledger.seq)
    AND NOT EXISTS (SELECT 1 FROM dead WHERE dead.number = ledger.seq)

-- name: sweep_rest
DELETE FROM ledger WHERE (agent, key) > (:agent, :key) AND seq <= :floor
    AND digest IS NOT -1
    AND NOT EXISTS (SELECT 1 FROM rows WHERE rows.seq = ledger.seq)
    AND NOT EXISTS (SELECT 1 FROM dead WHERE dead.number = ledger.seq)

-- Loss -----------------------------------------------------------------------------------------------

-- name: add_lost
INSERT OR REPLACE INTO lost (first, last, crc) VALUES (?, ?, ?)

-- name: lost
SELECT first, last FROM lost ORDER BY first

-- Salvage (remains.py, losses.py): run on the new file while it is being filled ----------------------

-- name: see_row
INSERT OR IGNORE INTO seen_rows (seq, route) VALUES (?, ?)

-- name: see_dead
INSERT OR IGNORE INTO seen_dead (number) VALUES (?)

-- name: salvage_row
INSERT OR IGNORE INTO rows (seq, route, owner, msg_id, subject, flags, at, crc, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: salvage_dead
INSERT OR IGNORE INTO dead (number, route, owner, msg_id, subject, flags, at, reason, code, died_at, body, crc)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: salvage_ledger
INSERT INTO ledger (agent, key, digest, seq) VALUES (?, ?, ?, ?)
-- What is forgotten stays so, whatever older copies say.
ON CONFLICT (agent, key) DO UPDATE SET
    digest = iif(ledger.digest IS -1 OR excluded.digest IS -1, -1, excluded.digest),
    seq = max(ledger.seq, excluded.seq)
    WHERE excluded.seq > ledger.seq OR excluded.digest IS -1

-- name: forget_digests
UPDATE ledger SET digest = NULL

-- name: salvage_id
INSERT INTO ledger (agent, key, digest, seq) VALUES (?, ?, NULL, ?)
ON CONFLICT (agent, key) DO UPDATE SET seq = excluded.seq WHERE excluded.seq <> ledger.seq

-- name: routes_of_rows
SELECT route FROM rows UNION SELECT route FROM dead

-- name: delete_route_rows
DELETE FROM rows WHERE route = ?

-- name: delete_route_dead
DELETE FROM dead WHERE route = ?

-- name: agents_of_ledger
SELECT DISTINCT agent FROM ledger

-- name: keys_of_agent
SELECT key FROM ledger WHERE agent = ?

-- name: delete_agent_ids
DELETE FROM ledger WHERE agent = ?

-- name: ids_of_rows
SELECT msg_id, owner, seq FROM rows

-- name: ids_of_dead
SELECT msg_id, owner, number FROM dead

-- name: delete_dead_that_are_rows
DELETE FROM dead WHERE number IN (SELECT seq FROM rows)

-- name: delete_dead_removed
-- A dead letter that was dropped (:became = 0), or retried as row :became, unless that row is lost: then
-- this is the only copy.
DELETE FROM dead WHERE number = :number AND (
    :became <= (SELECT settled FROM routes WHERE routes.number = dead.route)
    OR :became IN (SELECT seq FROM rows) OR :became IN (SELECT number FROM dead))

-- name: numbers_present
SELECT seq FROM rows UNION ALL SELECT number FROM dead ORDER BY 1

-- name: rows_seen
-- Rows that an index still names, and their routes.
SELECT seq, route FROM seen_rows WHERE seq BETWEEN ? AND ? ORDER BY seq

-- name: newest_seen
-- The newest row that two places agree on: neither of them has a checksum.
SELECT coalesce(max(seq), 0) FROM ledger WHERE seq IN (SELECT seq FROM seen_rows)

-- name: pending_rows
SELECT count(*) FROM rows JOIN routes ON number = route WHERE seq > settled

-- name: all_rows
SELECT count(*) FROM rows

-- name: dead_rows
SELECT count(*) FROM dead

-- name: dead_missing
-- Dead letters that the index still names, whose ids nobody else has.
SELECT number FROM seen_dead WHERE number NOT IN (SELECT number FROM dead) AND number IN (SELECT seq FROM ledger)
ORDER BY number DESC

-- name: ledger_names
SELECT agent, key, seq FROM ledger ORDER BY agent, key

-- name: forget_id
DELETE FROM ledger WHERE agent = ? AND key = ? AND digest IS NOT -1
