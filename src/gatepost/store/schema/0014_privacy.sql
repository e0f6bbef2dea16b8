-- What the data protection officer keeps: requests of data subjects, holds, and what retention deleted.

-- Data that is not to be deleted before the hold is released. Addresses and domains in lower case.
CREATE TABLE legal_holds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    domain TEXT NOT NULL,
    address TEXT NOT NULL, -- empty: the whole domain
    key TEXT NOT NULL, -- the address as history indexes it; empty: the whole domain
    since REAL NOT NULL, -- only what is from between these two moments
    until REAL NOT NULL,
    reason TEXT NOT NULL,
    case_number TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at REAL NOT NULL,
    ends_at REAL, -- NULL: when somebody releases it
    released_at REAL,
    released_by TEXT NOT NULL DEFAULT '',
    released_why TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX legal_holds_open ON legal_holds (id) WHERE released_at IS NULL;

CREATE TABLE data_requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, -- access, erasure, rectification or objection
    person TEXT NOT NULL,
    addresses TEXT NOT NULL, -- between blanks, lower case
    received_at REAL NOT NULL,
    due_at REAL NOT NULL,
    extended_because TEXT NOT NULL DEFAULT '', -- empty: not extended
    status TEXT NOT NULL, -- open, done or refused
    notes TEXT NOT NULL,
    outcome TEXT NOT NULL DEFAULT '',
    proof TEXT NOT NULL DEFAULT '', -- JSON: what was handed out or erased, and how many of each
    registered_by TEXT NOT NULL,
    registered_at REAL NOT NULL,
    closed_by TEXT NOT NULL DEFAULT '',
    closed_at REAL
) STRICT;
CREATE INDEX data_requests_due ON data_requests (due_at) WHERE closed_at IS NULL;

-- What a run of retention deleted, by kind; names nobody.
CREATE TABLE retention_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    deleted TEXT NOT NULL, -- JSON: kind -> how many
    holds INTEGER NOT NULL -- how many were in force
) STRICT;
CREATE INDEX retention_runs_at ON retention_runs (at);
