-- One ledger, on SQLite and on PostgreSQL: {int}, {blob}, {serial} and {strict} stand for their words.
-- Balances are kept beside the postings that they sum up, so that a payment reads two rows and not a history.
CREATE TABLE IF NOT EXISTS fact (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) {strict};

CREATE TABLE IF NOT EXISTS account (
    name TEXT PRIMARY KEY,
    balance {int} NOT NULL,
    CHECK (balance >= 0 OR name = 'outside' OR substr(name, 1, 8) = 'outside:')
) {strict};

CREATE TABLE IF NOT EXISTS entry (
    number {serial} PRIMARY KEY,
    cause TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    at {int} NOT NULL,
    about TEXT NOT NULL
) {strict};

CREATE TABLE IF NOT EXISTS posting (
    entry {int} NOT NULL REFERENCES entry (number),
    account TEXT NOT NULL REFERENCES account (name),
    amount {int} NOT NULL CHECK (amount <> 0),
    balance {int} NOT NULL,
    PRIMARY KEY (entry, account)
) {strict};

CREATE INDEX IF NOT EXISTS posting_of_account ON posting (account, entry);

CREATE TABLE IF NOT EXISTS nonce (
    public {blob} NOT NULL,
    nonce TEXT NOT NULL,
    at {int} NOT NULL,
    PRIMARY KEY (public, nonce)
) {strict};

CREATE INDEX IF NOT EXISTS nonce_by_age ON nonce (at);

CREATE TABLE IF NOT EXISTS withdrawal (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    recipient TEXT NOT NULL,
    amount {int} NOT NULL CHECK (amount > 0),
    at {int} NOT NULL,
    phase TEXT NOT NULL,
    raw {blob} NOT NULL,
    signature {blob} NOT NULL,
    txid {blob} NOT NULL,
    expiration {int} NOT NULL
) {strict};

CREATE INDEX IF NOT EXISTS withdrawal_by_phase ON withdrawal (phase);

CREATE TABLE IF NOT EXISTS channel (
    id {blob} PRIMARY KEY,
    ledger {blob} NOT NULL,
    payer {blob} NOT NULL,
    payer_address TEXT NOT NULL,
    recipient TEXT NOT NULL,
    locked {int} NOT NULL,
    expires {int} NOT NULL,
    window_ms {int} NOT NULL,
    phase TEXT NOT NULL,
    seq {int} NOT NULL,
    paid {int} NOT NULL,
    closes {int} NOT NULL,
    CHECK (paid >= 0 AND paid <= locked)
) {strict};

CREATE INDEX IF NOT EXISTS channel_of_payer ON channel (payer_address);
CREATE INDEX IF NOT EXISTS channel_of_recipient ON channel (recipient);

CREATE TABLE IF NOT EXISTS payout (
    account TEXT PRIMARY KEY,
    address TEXT NOT NULL,
    since {int} NOT NULL,
    before TEXT NOT NULL
) {strict};

-- The last mark that each account's owner has left: a copy of the owner's database has another one.
CREATE TABLE IF NOT EXISTS mark (
    account TEXT PRIMARY KEY,
    mark TEXT NOT NULL
) {strict};
