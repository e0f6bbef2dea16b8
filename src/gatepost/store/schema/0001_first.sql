-- Messages that are queued or held, those deliveries, and the history of everything that came.
-- Times are Unix seconds. JSON columns are written and read by msgspec (store/records.py).

CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    ref TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    envelope BLOB NOT NULL,
    added_header BLOB NOT NULL,
    removed_fields BLOB NOT NULL,
    may_bounce INTEGER NOT NULL,
    size INTEGER NOT NULL,
    octets BLOB -- NULL: a file of the spool, named by ref
) STRICT;

-- One row for each recipient's copy. `due_at` is also the lease: a claim moves it into the future and
-- names the worker, so that the copy of a worker that died falls due by itself.
CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: a worker may come late with an old number
    message INTEGER NOT NULL REFERENCES messages (id),
    recipient BLOB NOT NULL,
    to_address TEXT NOT NULL,
    junk INTEGER NOT NULL,
    created_at REAL NOT NULL,
    due_at REAL NOT NULL,
    worker TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    delay_told INTEGER NOT NULL DEFAULT 0,
    held_because TEXT -- a person or the runner stopped it; NULL: it goes by due_at
) STRICT;
CREATE INDEX queue_due ON queue (due_at) WHERE held_because IS NULL;
CREATE INDEX queue_message ON queue (message);

CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER NOT NULL REFERENCES messages (id),
    recipient BLOB NOT NULL,
    to_address TEXT NOT NULL,
    junk INTEGER NOT NULL,
    held_at REAL NOT NULL,
    reason TEXT NOT NULL,
    rule TEXT NOT NULL
) STRICT;
CREATE INDEX quarantine_message ON quarantine (message);
CREATE INDEX quarantine_held_at ON quarantine (held_at);

-- Addresses are kept as "domain local-part", lower case, so that a whole domain is a range of the index.
CREATE TABLE history (
    id INTEGER PRIMARY KEY,
    ref TEXT NOT NULL UNIQUE,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    sender TEXT NOT NULL,
    client TEXT NOT NULL,
    message_id TEXT NOT NULL,
    recipient_domains TEXT NOT NULL, -- each between blanks
    facts BLOB NOT NULL
) STRICT;
CREATE INDEX history_at ON history (at, kind, action);
CREATE INDEX history_sender ON history (sender, at);
CREATE INDEX history_client ON history (client, at);
CREATE INDEX history_message_id ON history (message_id) WHERE message_id <> '';

CREATE TABLE history_recipients (
    recipient TEXT NOT NULL,
    at REAL NOT NULL,
    history INTEGER NOT NULL,
    PRIMARY KEY (recipient, at, history)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    ref TEXT NOT NULL,
    at REAL NOT NULL,
    facts BLOB NOT NULL
) STRICT;
CREATE INDEX attempts_ref ON attempts (ref);

CREATE TABLE journal (
    number INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    why TEXT NOT NULL,
    subject TEXT NOT NULL,
    chain BLOB NOT NULL
) STRICT;
-- The chain of the newest entry that retention has deleted: where verification starts.
CREATE TABLE journal_anchor (
    number INTEGER NOT NULL,
    chain BLOB NOT NULL
) STRICT;
CREATE INDEX journal_subject ON journal (subject) WHERE subject <> '';

CREATE TABLE memory (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    expires_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX memory_expires_at ON memory (expires_at);

CREATE TABLE correspondents (
    identity TEXT NOT NULL,
    recipient_domain TEXT NOT NULL,
    first_seen REAL NOT NULL,
    last_seen REAL NOT NULL,
    messages INTEGER NOT NULL,
    replied INTEGER NOT NULL,
    PRIMARY KEY (identity, recipient_domain)
) STRICT, WITHOUT ROWID;
CREATE INDEX correspondents_last_seen ON correspondents (last_seen);
