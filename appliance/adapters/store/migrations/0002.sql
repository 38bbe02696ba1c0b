-- Money. The ledger's statement of our account as it was told; `gone` is when it turned out that the ledger
-- has forgotten a line (UtcMs), else 0.
CREATE TABLE line (
    ledger BLOB NOT NULL,
    gone INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    cause TEXT NOT NULL,
    about TEXT NOT NULL,
    amount INTEGER NOT NULL,
    balance INTEGER NOT NULL,
    PRIMARY KEY (ledger, gone, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX line_by_cause ON line (cause);

CREATE TABLE hold (
    id TEXT PRIMARY KEY,
    ledger BLOB NOT NULL,
    amount INTEGER NOT NULL,
    left INTEGER NOT NULL CHECK (left >= 0 AND left <= amount),
    at INTEGER NOT NULL,
    about TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE channel (
    id BLOB PRIMARY KEY,
    ledger BLOB NOT NULL,
    payer BLOB NOT NULL,
    recipient TEXT NOT NULL,
    locked INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    window_ms INTEGER NOT NULL,
    phase TEXT NOT NULL,
    seq INTEGER NOT NULL,
    paid INTEGER NOT NULL CHECK (paid >= 0 AND paid <= locked),
    closes INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    standing TEXT NOT NULL,
    name TEXT NOT NULL,
    signature BLOB NOT NULL
) STRICT;

CREATE INDEX channel_by_standing ON channel (standing);

-- What each channel paid for; the sum over a channel is what its best state pays.
CREATE TABLE tally (
    day TEXT NOT NULL,
    channel BLOB NOT NULL REFERENCES channel (id),
    torrent TEXT NOT NULL,
    purpose TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (day, channel, torrent)
) STRICT, WITHOUT ROWID;

CREATE INDEX tally_of_channel ON tally (channel);
