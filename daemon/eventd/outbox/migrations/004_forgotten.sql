-- Version 4 knows forgotten events: rows with bit 4 of `flags`, ids with the digest -1 in the ledger, and tombstones,
-- rows with bit 3. An older eventd would let such ids age, and take the events in again.
CREATE INDEX rows_forgetting ON rows (route) WHERE flags & 24;
