-- The auction. What a seller must not forget: leases that run, and what is owed for those that have ended.
CREATE TABLE sold (
    key BLOB PRIMARY KEY,
    ip TEXT NOT NULL,
    torrent TEXT NOT NULL,
    port INTEGER NOT NULL,
    channel BLOB NOT NULL,
    locked INTEGER NOT NULL,
    price INTEGER NOT NULL,
    due INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE debt (
    key BLOB PRIMARY KEY,
    channel BLOB NOT NULL,
    due INTEGER NOT NULL,
    paid INTEGER NOT NULL CHECK (paid < due)
) STRICT, WITHOUT ROWID;

CREATE TABLE auction (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    round INTEGER NOT NULL,
    reserve INTEGER NOT NULL
) STRICT;

-- Rounds by five minutes: `bucket` is the UtcMs of its beginning divided by 300,000.
CREATE TABLE rounds (
    bucket INTEGER PRIMARY KEY,
    rounds INTEGER NOT NULL,
    sold INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    price INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    earned INTEGER NOT NULL
) STRICT;

-- Payload that was sent in leases, by torrent.
CREATE TABLE delivered (
    torrent TEXT PRIMARY KEY,
    sent INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the owner pays for torrents that are downloaded, and what became of sellers.
CREATE TABLE want (
    torrent TEXT PRIMARY KEY,
    price INTEGER NOT NULL,
    budget INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    before INTEGER NOT NULL,
    simulate INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE seller (
    address TEXT PRIMARY KEY,
    received INTEGER NOT NULL,
    paid INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    shunned INTEGER NOT NULL,
    why TEXT NOT NULL
) STRICT, WITHOUT ROWID;
