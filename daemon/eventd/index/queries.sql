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

-- name: runs_of_type
-- What events of a type and an agent have in common with others, the newest first.
SELECT run FROM events WHERE type = ? AND +agent = ? AND run <> '' GROUP BY run ORDER BY max(time) DESC

-- Retention ------------------------------------------------------------------------------------------

-- name: next_ages
-- Of the events behind a number those that do not outlive the age limit. Kinds 8 and 11 are memories, 12 a tombstone.
SELECT n, agent, visibility, words, CASE WHEN kind IN (8, 11, 12) THEN 9223372036854775807 ELSE stored END
FROM events WHERE n > ? ORDER BY n LIMIT ?

-- name: first_that_came
SELECT n, agent, visibility, words FROM events WHERE kind NOT IN (8, 11, 12) ORDER BY n LIMIT ?

-- name: delete
DELETE FROM events WHERE n = ?

-- Forgetting -----------------------------------------------------------------------------------------

-- name: newest_forgotten
SELECT coalesce(max(n), 0) FROM forgotten

-- name: add_forgotten
INSERT OR IGNORE INTO forgotten (agent, event_id, stream, seq, time) VALUES (?, ?, ?, ?, ?)

-- name: forgotten_id
SELECT EXISTS (SELECT 1 FROM forgotten WHERE agent = ? AND event_id = ?)

-- name: forgotten_place
SELECT EXISTS (SELECT 1 FROM forgotten WHERE agent = :agent AND event_id = '' AND seq = :seq AND time = :time
    AND stream = (SELECT name FROM streams WHERE number = :stream))

-- name: forgotten_after
-- The names that are forgotten, in the order in which they came.
SELECT f.n, n.text, f.event_id FROM forgotten AS f JOIN names AS n ON n.number = f.agent
WHERE f.n > ? ORDER BY f.n LIMIT ?

-- name: named_by_id
-- Events that a tombstone names by their id, without other tombstones.
SELECT e.n, e.visibility, e.words, e.stream, e.seq, iif(e.outbox IS NULL, e.stored, 0), s.name
FROM events AS e JOIN streams AS s ON s.number = e.stream
WHERE e.event_id = ? AND e.event_id <> '' AND +e.agent = ? AND +e.kind <> 12

-- name: named_by_place
SELECT e.n, e.visibility, e.words, e.stream, e.seq, e.stored, s.name
FROM streams AS s JOIN events AS e ON e.stream = s.number
WHERE s.name = ? AND e.seq = ? AND +e.agent = ? AND +e.event_id = '' AND +e.stored = ?

-- name: add_returned
INSERT OR REPLACE INTO returned (stream, seq, agent, event_id, time) VALUES (?, ?, ?, ?, ?)

-- name: all_may_return
-- A stream went back: what was erased from it before may stand there again.
INSERT OR REPLACE INTO returned (stream, seq, agent, event_id, time)
SELECT s.number, f.seq, f.agent, f.event_id, f.time FROM streams AS s JOIN forgotten AS f ON f.stream = s.name
WHERE s.number = ? AND f.seq > 0

-- name: any_returned
SELECT EXISTS (SELECT 1 FROM returned)

-- name: returned
SELECT r.stream, s.account, s.name, r.seq, n.text, r.event_id, r.time
FROM returned AS r JOIN streams AS s ON s.number = r.stream JOIN names AS n ON n.number = r.agent
ORDER BY r.agent, r.stream, r.seq LIMIT ?

-- name: delete_returned
DELETE FROM returned WHERE stream = ? AND seq = ?

-- name: add_wiping
INSERT INTO wiping (name, state) VALUES (?, 0) ON CONFLICT (name) DO UPDATE SET state = iif(state = 0, 0, 2)

-- name: next_wiping
SELECT name, state FROM wiping ORDER BY state DESC, name LIMIT 1

-- name: wiping_began
UPDATE wiping SET state = 1 WHERE name = ?

-- name: wipe_again
UPDATE wiping SET state = 0 WHERE name = ?

-- name: end_wiping
DELETE FROM wiping WHERE name = ?

-- name: places_of_id
-- Where an agent's events with an id stand, and when the stream took those that others have stored there.
SELECT e.event_id, s.account, s.name, coalesce(e.seq, 0), iif(e.outbox IS NULL, e.stored, 0), e.kind
FROM events AS e JOIN streams AS s ON s.number = e.stream
WHERE e.event_id = ? AND e.event_id <> '' AND +e.agent = ?

-- name: event_at
-- The event of an agent at a place.
SELECT e.event_id, s.account, s.name, e.seq, iif(e.outbox IS NULL, e.stored, 0), e.kind
FROM streams AS s JOIN events AS e ON e.stream = s.number
WHERE s.name = ? AND e.seq = ? AND +e.agent = ?

-- Reading --------------------------------------------------------------------------------------------

-- name: newest_number
SELECT coalesce(max(n), 0) FROM events

-- name: stream_states
SELECT number, name, created, position FROM streams ORDER BY number
