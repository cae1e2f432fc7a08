-- Every query of the index that is not put together by the code. `sql.parse` loads them by name.

-- Facts ----------------------------------------------------------------------------------------------

-- name: fact
SELECT value FROM meta WHERE key = ?

-- name: set_fact
INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: last_number
SELECT coalesce(max(n), 0) FROM events

-- name: count
SELECT count(*) FROM events

-- Names ----------------------------------------------------------------------------------------------

-- name: name_number
SELECT number FROM names WHERE text = ?

-- name: add_name
INSERT INTO names (text) VALUES (?) RETURNING number

-- name: lexicons
SELECT agent, name FROM lexicons

-- name: add_lexicon
INSERT INTO lexicons (agent, name) VALUES (?, ?)

-- Streams and routes ---------------------------------------------------------------------------------

-- name: stream
SELECT number, position FROM streams WHERE account = ? AND name = ? AND created = ?

-- name: add_stream
INSERT INTO streams (account, name, created) VALUES (?, ?, ?) RETURNING number

-- name: stream_numbers
-- All streams of a name in an account, the newest last. Rows that are not in a stream yet are under `created` ''.
SELECT number FROM streams WHERE account = ? AND name = ? ORDER BY created <> '', number

-- name: stream_kin
-- All streams of the account of a stream, and whether it may have replaced them. The very same stream is one of
-- them under any account: logins may have been told apart otherwise before.
SELECT other.number, other.name = this.name
FROM streams AS this JOIN streams AS other
    ON other.account = this.account OR (other.name = this.name AND other.created = this.created)
WHERE this.number = ?

-- name: set_position
UPDATE streams SET position = ?2 WHERE number = ?1

-- name: route
SELECT settled, rewinds FROM routes WHERE number = ?

-- name: set_route
INSERT INTO routes (number, settled, rewinds) VALUES (?, ?, ?)
ON CONFLICT (number) DO UPDATE SET settled = excluded.settled, rewinds = excluded.rewinds

-- Events ---------------------------------------------------------------------------------------------

-- name: add_events
INSERT INTO events (n, stream, seq, outbox, route, agent, session, type, subject, kind, visibility, time, stored,
    words, run, call, event_id, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: add_superseded
INSERT OR IGNORE INTO superseded (agent, event_id) VALUES (?, ?)

-- name: adopt
-- An event that was here when the outbox began anew, and that the new one has again.
UPDATE events SET outbox = :outbox, route = :route, stream = iif(seq IS NULL, :stream, stream)
WHERE n = (SELECT n FROM events WHERE event_id = :event_id AND event_id <> '' AND +agent = :agent AND body = :body
    AND outbox IS NULL AND n <= :anew LIMIT 1)
RETURNING n

-- name: renumber
-- An event that has entered the outbox again, under a greater number.
UPDATE events SET outbox = :outbox, route = :route, stream = iif(seq IS NULL, :stream, stream)
WHERE n = (SELECT n FROM events WHERE event_id = :event_id AND event_id <> '' AND +agent = :agent AND body = :body
    AND outbox < :outbox ORDER BY n DESC LIMIT 1)
RETURNING n

-- name: at_place
SELECT n, event_id, body FROM events WHERE stream = ? AND seq = ?

-- name: unplaced
-- Own or re-sent events that may be the one that a stream shows under this id, newest first.
SELECT n, stream, outbox IS NOT NULL AND seq IS NULL FROM events WHERE event_id = :event_id AND event_id <> '' AND +agent = :agent AND body = :body
    AND (seq IS NULL OR stream <> :stream) ORDER BY n DESC

-- name: place
UPDATE events SET stream = ?2, seq = ?3 WHERE n = ?1

-- name: place_range
-- Rows without a gap in their outbox numbers, which are without a gap in the stream too.
UPDATE events SET stream = :stream, seq = :seq + outbox - :first
WHERE outbox BETWEEN :first AND :last AND route = :route

-- name: rows_in_range
SELECT n FROM events WHERE outbox BETWEEN ? AND ? AND route = ? ORDER BY outbox

-- name: free_places
-- Whatever was taken to stand there; also rows of the run that is placed there, which may have stood at other
-- places of it.
UPDATE events SET seq = NULL WHERE stream = ? AND seq BETWEEN ? AND ?

-- name: unplace_rows
-- A route was rewound: its rows above the watermark are sent again.
UPDATE events SET seq = NULL WHERE outbox > ? AND route = ? AND seq IS NOT NULL

-- name: unplace_beyond
UPDATE events SET seq = NULL WHERE stream = ? AND seq > ?

-- name: unplace
UPDATE events SET seq = NULL WHERE n = ?

-- name: forget_outbox
-- The outbox begins anew: its numbers mean other rows now.
UPDATE events SET outbox = NULL, route = NULL WHERE outbox IS NOT NULL

-- name: forget_routes
DELETE FROM routes

-- Retention ------------------------------------------------------------------------------------------

-- name: next_ages
-- Of the events behind a number those that do not outlive the age limit. Kinds 8 and 11 are memories.
SELECT n, agent, visibility, words, CASE WHEN kind IN (8, 11) THEN 9223372036854775807 ELSE stored END
FROM events WHERE n > ? ORDER BY n LIMIT ?

-- name: first_that_came
SELECT n, agent, visibility, words FROM events WHERE kind NOT IN (8, 11) ORDER BY n LIMIT ?

-- name: delete
DELETE FROM events WHERE n = ?

-- Reading --------------------------------------------------------------------------------------------

-- name: newest_number
SELECT coalesce(max(n), 0) FROM events

-- name: stream_states
SELECT number, name, created, position FROM streams ORDER BY number
