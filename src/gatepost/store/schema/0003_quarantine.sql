-- Held mail is sealed, its row outlives it with what became of it, copies may be delivered changed, and senders are
-- allowed and blocked by people.

ALTER TABLE messages ADD COLUMN key_id TEXT; -- the master key its own key is wrapped with; NULL: octets in plain
ALTER TABLE messages ADD COLUMN wrapped_key BLOB;
CREATE INDEX messages_key ON messages (key_id) WHERE key_id IS NOT NULL;

ALTER TABLE queue ADD COLUMN changes BLOB; -- what is changed in this copy at delivery; NULL: nothing

ALTER TABLE quarantine RENAME TO quarantine_before;
DROP INDEX quarantine_message;
DROP INDEX quarantine_held_at;
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message INTEGER REFERENCES messages (id), -- NULL as soon as it is decided
    ref TEXT NOT NULL,
    sender TEXT NOT NULL,
    size INTEGER NOT NULL,
    recipient BLOB NOT NULL,
    to_address TEXT NOT NULL,
    junk INTEGER NOT NULL,
    original INTEGER NOT NULL, -- 1: a changed copy was delivered, and this is what it was made from
    held_at REAL NOT NULL,
    reason TEXT NOT NULL,
    rule TEXT NOT NULL,
    category TEXT NOT NULL,
    state TEXT NOT NULL,
    changed_at REAL NOT NULL,
    changed_by TEXT NOT NULL,
    changed_why TEXT NOT NULL
) STRICT;
INSERT INTO quarantine
    SELECT q.id, q.message, m.ref,
        coalesce(json_extract(CAST(m.envelope AS TEXT), '$.sender.local') || '@'
            || json_extract(CAST(m.envelope AS TEXT), '$.sender.domain'), ''),
        m.size, q.recipient, q.to_address, q.junk, 0, q.held_at, q.reason, q.rule, '', 'held', q.held_at, '', ''
    FROM quarantine_before q JOIN messages m ON m.id = q.message;
DROP TABLE quarantine_before;
CREATE INDEX quarantine_message ON quarantine (message) WHERE message IS NOT NULL;
CREATE INDEX quarantine_ref ON quarantine (ref);
CREATE INDEX quarantine_waiting ON quarantine (held_at) WHERE state IN ('held', 'requested');
CREATE INDEX quarantine_decided ON quarantine (changed_at) WHERE state NOT IN ('held', 'requested');

CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    allow INTEGER NOT NULL, -- 0: blocked
    identity TEXT NOT NULL, -- an address or a domain, lower case
    recipient TEXT NOT NULL, -- for this address or domain of ours only; empty: for all
    owner TEXT NOT NULL,
    reason TEXT NOT NULL,
    made_at REAL NOT NULL,
    expires_at REAL, -- NULL: never
    hits INTEGER NOT NULL DEFAULT 0,
    last_hit REAL
) STRICT;
CREATE UNIQUE INDEX entries_one ON entries (allow, identity, recipient);
-- Counted up with every change, so that each process sees at a glance whether what it knows still holds.
CREATE TABLE entries_version (number INTEGER NOT NULL) STRICT;
INSERT INTO entries_version VALUES (0);
