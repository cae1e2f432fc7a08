-- The index, version 4. Disposable: another version is thrown away and built anew from streams and outbox.

-- Facts about the file: schema, taken (the newest outbox number that is in here), anew (the newest event when the
-- outbox last began anew), wiping (1 as long as bytes of forgotten events may be left in here).
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Streams; one that was made anew is another one, and so is one of the same name in another account: see
-- `eventd.routes.StreamKey`. `created` is '' until the stream has been seen.
-- position: everything up to this sequence is in here.
CREATE TABLE streams (
    number   INTEGER PRIMARY KEY,
    account  TEXT NOT NULL,
    name     TEXT NOT NULL,
    created  TEXT NOT NULL,
    position INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, name, created)
) STRICT;

-- How far the settled rows of each of the outbox's routes have been given their place in the stream.
CREATE TABLE routes (
    number  INTEGER PRIMARY KEY,
    settled INTEGER NOT NULL,
    rewinds INTEGER NOT NULL
) STRICT;

-- Agents, sessions, types and subjects, as small numbers.
CREATE TABLE names (
    number INTEGER PRIMARY KEY,
    text   TEXT NOT NULL UNIQUE
) STRICT;

-- n: order of arrival. seq: NULL while it is not known. outbox: NULL for events of other writers.
-- kind: eventd.events.types.Kind; 8 and 11 are memories. visibility: place in eventd.events.normal.VISIBILITIES.
-- call: id of a tool call, or what ties another event to its counterpart.
-- words: number of words in the full-text table of its agent; 0 where it is in none.
CREATE TABLE events (
    n          INTEGER PRIMARY KEY,
    stream     INTEGER NOT NULL,
    seq        INTEGER,
    outbox     INTEGER,
    route      INTEGER,
    agent      INTEGER NOT NULL,
    session    INTEGER NOT NULL,
    type       INTEGER NOT NULL,
    subject    INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    visibility INTEGER NOT NULL,
    time       INTEGER NOT NULL,
    stored     INTEGER NOT NULL,
    words      INTEGER NOT NULL,
    run        TEXT NOT NULL,
    call       TEXT NOT NULL,
    event_id   TEXT NOT NULL,
    body       BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_place ON events (stream, seq) WHERE seq IS NOT NULL;
CREATE INDEX events_by_outbox ON events (outbox) WHERE outbox IS NOT NULL;
CREATE INDEX events_by_id ON events (event_id) WHERE event_id <> '';
CREATE INDEX events_by_agent ON events (agent, time);
CREATE INDEX events_by_session ON events (session, time);
CREATE INDEX events_by_time ON events (time);
CREATE INDEX events_by_stored ON events (stored);
CREATE INDEX events_by_type ON events (type, time);
CREATE INDEX events_by_run ON events (run) WHERE run <> '';
CREATE INDEX events_memories ON events (agent, time) WHERE kind = 8;
CREATE INDEX events_notes ON events (agent, time) WHERE kind = 11;
CREATE INDEX events_public ON events (time) WHERE visibility = 1;
CREATE INDEX events_public_memories ON events (time) WHERE visibility = 1 AND kind = 8;

-- Memories that a later one replaces, by what that one says: the replaced one may come in after it.
CREATE TABLE superseded (
    agent    INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    PRIMARY KEY (agent, event_id)
) STRICT, WITHOUT ROWID;

-- What tombstones name, in the order in which they came: an event can come in after its tombstone.
-- event_id: '' for an event without one, which is known by its place and the time of its storing.
CREATE TABLE forgotten (
    n        INTEGER PRIMARY KEY,
    agent    INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    stream   TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    UNIQUE (agent, event_id, stream, seq, time)
) STRICT;

-- Where forgotten events stand nonetheless, or may stand again: they have to be erased there.
CREATE TABLE returned (
    stream   INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    agent    INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    time     INTEGER NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;

-- Full-text tables in which words of forgotten events may be left. state: 0 = their merging has to begin, 1 = it has
-- begun, 2 = it has begun, and has to begin once more.
CREATE TABLE wiping (
    name  TEXT PRIMARY KEY,
    state INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Full text: one table per agent, and one of the public events of all, so that what others store changes
-- nothing in an agent's ranking (bm25 counts over a whole table). The tables are made by the code.
CREATE TABLE lexicons (
    agent INTEGER PRIMARY KEY,
    name  TEXT NOT NULL
) STRICT;
