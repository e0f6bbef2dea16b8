-- What people do in the office: who reads whose held mail and why, policies saved from the console, digests sent.

CREATE INDEX quarantine_to ON quarantine (lower(to_address), id); -- a person's own held mail, newest first
CREATE INDEX quarantine_undecided ON quarantine (id, category) WHERE state IN ('held', 'requested'); -- everybody's

CREATE TABLE glass (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL, -- whose held mail is to be read: an address, lower case
    asked_by INTEGER NOT NULL, -- account
    asked_who TEXT NOT NULL,
    asked_at REAL NOT NULL,
    reason TEXT NOT NULL,
    case_number TEXT NOT NULL,
    lasts_s REAL NOT NULL,
    two_people INTEGER NOT NULL, -- 1: nothing opens before a second person agrees
    decided_by INTEGER, -- account of the second person
    decided_who TEXT NOT NULL DEFAULT '',
    decided_at REAL,
    opened_at REAL, -- NULL: not open yet, or refused
    ends_at REAL,
    views INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX glass_owner ON glass (owner, id);
CREATE INDEX glass_asked ON glass (asked_by, id);

CREATE TABLE views ( -- every look of one person at another's held mail
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    account INTEGER NOT NULL,
    who TEXT NOT NULL,
    owner TEXT NOT NULL, -- whose copy it is: an address, lower case
    ref TEXT NOT NULL,
    how TEXT NOT NULL, -- read, downloaded, attachment
    glass INTEGER REFERENCES glass (id) -- NULL: by right
) STRICT;
CREATE INDEX views_owner ON views (owner, id);
CREATE INDEX views_at ON views (at);

CREATE TABLE policies ( -- what was saved from the console, in order; the newest holds
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    text TEXT NOT NULL, -- TOML, laid over the configuration file
    evidence TEXT NOT NULL, -- JSON: what the plan on recorded mail said
    back_to INTEGER -- the number whose text it is, when it was a way back
) STRICT;
CREATE TABLE candidates ( -- one for each who is at work on one
    account INTEGER PRIMARY KEY,
    who TEXT NOT NULL,
    changed_at REAL NOT NULL,
    based_on INTEGER NOT NULL, -- number of the policy it was begun from; 0: the configuration file's own
    text TEXT NOT NULL,
    evidence TEXT NOT NULL DEFAULT '' -- JSON of the plan for this very text; empty: not tried yet
) STRICT;

CREATE TABLE digests (
    address TEXT PRIMARY KEY, -- lower case
    every TEXT NOT NULL, -- daily, weekly or never
    sent_at REAL, -- NULL: none yet
    told INTEGER NOT NULL DEFAULT 0 -- the newest copy in quarantine it has told of
) STRICT;
CREATE INDEX digests_sent ON digests (sent_at);
