-- Keys that sign our mail. The private key is sealed under the master keys like held mail; NULL once it is removed.
CREATE TABLE signing_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    domain TEXT NOT NULL,
    selector TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    state TEXT NOT NULL,
    since REAL NOT NULL,
    created_at REAL NOT NULL,
    record TEXT NOT NULL,
    checked_at REAL NOT NULL DEFAULT 0,
    problem TEXT NOT NULL DEFAULT '',
    private BLOB,
    key_id TEXT,
    wrapped_key BLOB
) STRICT;
CREATE UNIQUE INDEX signing_keys_name ON signing_keys (domain, selector) WHERE state <> 'removed';

-- Each domain's MTA-STS policy as it is served, and what speaks for enforcing it: one row for a day and a source.
CREATE TABLE sts_policies (
    domain TEXT PRIMARY KEY,
    mode TEXT NOT NULL,
    policy_id TEXT NOT NULL,
    hosts TEXT NOT NULL,
    since REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sts_evidence (
    domain TEXT NOT NULL,
    day INTEGER NOT NULL,
    source TEXT NOT NULL,
    good INTEGER NOT NULL,
    bad INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (domain, day, source)
) STRICT, WITHOUT ROWID;

-- A certificate whose key is about to change: since when the DNS has said so (TLSA), and what keeps the change.
CREATE TABLE key_changes (
    name TEXT PRIMARY KEY,
    next_spki TEXT NOT NULL,
    seen_since REAL,
    ttl_s INTEGER NOT NULL,
    checked_at REAL NOT NULL,
    problem TEXT NOT NULL
) STRICT, WITHOUT ROWID;
