-- What the owner must see, or had to: see doctor/issues.py.
CREATE TABLE issue (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    severity TEXT NOT NULL,
    says TEXT NOT NULL,
    remedy TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    mended INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    lasted INTEGER NOT NULL,
    error INTEGER NOT NULL,
    unseen INTEGER NOT NULL,
    well INTEGER NOT NULL
) STRICT;

-- What each address was told, by what may be shown of it: no secret is kept here. See doctor/delivery.py.
CREATE TABLE owner_line (
    label TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    wait INTEGER NOT NULL,
    recent INTEGER NOT NULL,
    hour INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE told (
    label TEXT NOT NULL,
    issue INTEGER NOT NULL,
    severity TEXT NOT NULL,
    over INTEGER NOT NULL,
    PRIMARY KEY (label, issue)
) STRICT, WITHOUT ROWID;

-- Readings by five minutes: `bucket` is the UtcMs of its beginning divided by 300,000. NULL: nothing was read.
CREATE TABLE reading (
    bucket INTEGER PRIMARY KEY,
    temperature INTEGER,
    disk_temperature INTEGER,
    io INTEGER,
    memory INTEGER,
    latency INTEGER NOT NULL,
    latencies INTEGER NOT NULL,
    watts INTEGER NOT NULL,
    wattages INTEGER NOT NULL,
    upload INTEGER
) STRICT;

-- What the governor has done; `until` 0: it still holds.
CREATE TABLE decision (
    id INTEGER PRIMARY KEY,
    rule TEXT NOT NULL,
    says TEXT NOT NULL,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;
