-- Torrents: one JSON document each (catalogue.record.Record), so that a field more is no migration.
CREATE TABLE torrent (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL
) STRICT;

-- Resume data is large and changes seldom; totals are small and change often: apart, so that a batch of
-- totals touches few pages.
CREATE TABLE resume (
    number INTEGER PRIMARY KEY REFERENCES torrent (number) ON DELETE CASCADE,
    crc INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;

CREATE TABLE total (
    number INTEGER PRIMARY KEY REFERENCES torrent (number) ON DELETE CASCADE,
    uploaded INTEGER NOT NULL,
    downloaded INTEGER NOT NULL,
    seeding_s INTEGER NOT NULL
) STRICT;

-- Payload of one minute; minutes without any have no row.
CREATE TABLE traffic (
    minute INTEGER PRIMARY KEY,
    up INTEGER NOT NULL,
    down INTEGER NOT NULL
) STRICT;

CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    torrent TEXT NOT NULL
) STRICT;

CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
