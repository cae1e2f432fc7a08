-- Version 2 remembers which rows were lost, so that a second salvage does not report them again.
CREATE TABLE lost (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL,
    crc   INTEGER NOT NULL
) STRICT;
