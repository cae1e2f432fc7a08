-- The outbox, version 4. Full state; `migrations/` brings older files here.
--
-- Text is stored as BLOB where a checksum covers it: a damaged row must stay readable as bytes.
-- `crc` covers every other column of its row (see checks.py). Pages carry no checksum of their own,
-- so whatever has no `crc` (ledger, indexes, marks) must be safe to lose or rebuild.

-- Facts about the file itself: schema, schema_sql, last_seq, lost_events, quarantines, scrub (1 as long as bytes of
-- forgotten events may be left in free pages and in the log).
CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL,
    crc   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per (name, stream, prefix) ever used; numbers are kept for ever.
-- settled: the watermark; rows above it are pending. rewinds: how often it was moved back.
-- The UNIQUE index is at the same time the second copy of a route's identity that salvage looks for.
CREATE TABLE routes (
    number         INTEGER PRIMARY KEY,
    name           TEXT NOT NULL,
    stream         TEXT NOT NULL,
    prefix         TEXT NOT NULL,
    settled        INTEGER NOT NULL,
    stream_seq     INTEGER NOT NULL,
    stream_created TEXT NOT NULL,
    rewinds        INTEGER NOT NULL,
    crc            INTEGER NOT NULL,
    UNIQUE (name, stream, prefix)
) STRICT;

-- Events, pending and retained, in accept order. seq is one counter over all routes, never used twice.
-- owner: how many bytes of msg_id are the agent's name. at: Unix ms.
-- flags: bit 0 = never expires, bit 1 = crc is one of XXH3 and not, as before version 3, a CRC-32, bit 2 = was here
-- before under another number, bit 3 = a tombstone, bit 4 = forgotten (the body is a stub).
CREATE TABLE rows (
    seq     INTEGER PRIMARY KEY,
    route   INTEGER NOT NULL,
    owner   INTEGER NOT NULL,
    msg_id  BLOB NOT NULL,
    subject BLOB NOT NULL,
    flags   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    crc     INTEGER NOT NULL,
    body    BLOB NOT NULL
) STRICT;
CREATE INDEX rows_by_route ON rows (route);
CREATE INDEX rows_forgetting ON rows (route) WHERE flags & 24;

-- Where settled rows are in the stream: the n-th row of the route in first..last is at stream_seq + n.
CREATE TABLE runs (
    route      INTEGER NOT NULL,
    first      INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    stream_seq INTEGER NOT NULL,
    settled_at INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    crc        INTEGER NOT NULL,
    PRIMARY KEY (route, first)
) STRICT, WITHOUT ROWID;

-- Rows that can never be published, under their old seq.
CREATE TABLE dead (
    number  INTEGER PRIMARY KEY,
    route   INTEGER NOT NULL,
    owner   INTEGER NOT NULL,
    msg_id  BLOB NOT NULL,
    subject BLOB NOT NULL,
    flags   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    reason  BLOB NOT NULL,
    code    INTEGER NOT NULL,
    died_at INTEGER NOT NULL,
    body    BLOB NOT NULL,
    crc     INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_by_route ON dead (route, died_at);

-- Agents' names, as small numbers for the ledger.
CREATE TABLE agents (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL,
    crc    INTEGER NOT NULL
) STRICT;

-- Every id accepted within the bounds of the ledger. key: the 16 bytes of a UUID (version 7 keeps
-- inserts at the right edge of the tree), else a 17-byte hash. digest: NULL when unknown (salvaged, or from
-- before version 3), -1 when the event is forgotten: then the entry stays for ever.
CREATE TABLE ledger (
    agent  INTEGER NOT NULL,
    key    BLOB NOT NULL,
    digest INTEGER,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (agent, key)
) STRICT, WITHOUT ROWID;

-- "Everything up to seq was accepted before `at`" (Unix ms): turns the ledger's age into a seq.
CREATE TABLE marks (
    at  INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT;

-- Ranges of seq that were acknowledged and then lost to damage, so that none is reported twice.
CREATE TABLE lost (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL,
    crc   INTEGER NOT NULL
) STRICT;
