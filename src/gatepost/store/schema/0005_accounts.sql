-- People: their addresses and roles, what they prove themselves with, their sessions and sign-ins, and what their mail
-- programs sign in with. No secret is kept that could be used as it stands: passwords as argon2id, what is random and
-- long as SHA-256, seeds of one-time codes sealed under the master keys.

CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    login TEXT NOT NULL UNIQUE, -- an address, lower case
    name TEXT NOT NULL,
    language TEXT NOT NULL,
    roles TEXT NOT NULL, -- between blanks
    handle BLOB NOT NULL UNIQUE, -- WebAuthn's user handle: random, so that it says nothing of the person
    source TEXT NOT NULL, -- where the account comes from; empty: from here
    source_key TEXT NOT NULL, -- what the source knows it by
    created_at REAL NOT NULL,
    disabled_at REAL,
    disabled_because TEXT NOT NULL DEFAULT '',
    password TEXT, -- argon2id in its usual form
    seed BLOB, -- of one-time codes, sealed
    seed_key_id TEXT,
    seed_wrapped_key BLOB,
    seed_in INTEGER, -- the session in which it was proved
    seed_step INTEGER NOT NULL DEFAULT 0 -- the step of the last code taken: none is taken twice
) STRICT;
CREATE UNIQUE INDEX accounts_source ON accounts (source, source_key) WHERE source <> '';

-- Several people may write as one address (delegated = 1), but it is the own address of one.
CREATE TABLE account_addresses (
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    delegated INTEGER NOT NULL,
    PRIMARY KEY (account, address)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX account_addresses_own ON account_addresses (address) WHERE delegated = 0;

CREATE TABLE passkeys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    credential BLOB NOT NULL UNIQUE,
    public_key BLOB NOT NULL,
    uses INTEGER NOT NULL, -- the authenticator's own count; 0 from those that do not count
    name TEXT NOT NULL,
    synced INTEGER NOT NULL, -- 1: it lives on several devices of the person
    made_at REAL NOT NULL,
    made_in INTEGER NOT NULL, -- the session in which it was registered
    used_at REAL
) STRICT;
CREATE INDEX passkeys_account ON passkeys (account);

CREATE TABLE recovery_codes (
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    hash BLOB NOT NULL,
    used_at REAL,
    PRIMARY KEY (account, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE enrolment_links (
    hash BLOB NOT NULL PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    made_at REAL NOT NULL,
    expires_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX enrolment_links_account ON enrolment_links (account);

-- What waits for an answer that only once can come: a challenge for a passkey, a password and seed not yet proved.
CREATE TABLE challenges (
    hash BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    account INTEGER NOT NULL, -- 0: whoever answers
    network TEXT NOT NULL,
    value BLOB NOT NULL,
    expires_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX challenges_expires_at ON challenges (expires_at);
CREATE INDEX challenges_network ON challenges (network);

CREATE TABLE sessions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE, -- of the token in the cookie
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    strength TEXT NOT NULL,
    started_at REAL NOT NULL,
    seen_at REAL NOT NULL,
    proved_at REAL NOT NULL,
    network TEXT NOT NULL,
    agent TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_account ON sessions (account);

CREATE TABLE sign_ins (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    at REAL NOT NULL,
    how TEXT NOT NULL,
    succeeded INTEGER NOT NULL,
    network TEXT NOT NULL,
    agent TEXT NOT NULL
) STRICT;
CREATE INDEX sign_ins_account ON sign_ins (account, at);
CREATE INDEX sign_ins_network ON sign_ins (account, network) WHERE succeeded = 1;
CREATE INDEX sign_ins_at ON sign_ins (at);

-- Browsers that a person signed in with before; the token is in a cookie of its own that outlives the session.
CREATE TABLE known_devices (
    hash BLOB NOT NULL PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    seen_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX known_devices_account ON known_devices (account);

-- Failures to sign in, by digests of who and where.
CREATE TABLE strikes (
    key BLOB NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_at REAL NOT NULL,
    turned_away INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX strikes_last_at ON strikes (last_at);

CREATE TABLE app_passwords (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    selector TEXT NOT NULL UNIQUE,
    salt BLOB NOT NULL,
    hash BLOB NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL, -- between blanks
    sends_as TEXT NOT NULL, -- addresses between blanks; empty: all of the account's
    networks TEXT NOT NULL, -- between blanks; empty: from everywhere
    made_at REAL NOT NULL,
    made_by TEXT NOT NULL,
    expires_at REAL,
    revoked_at REAL,
    used_at REAL,
    used_from TEXT NOT NULL DEFAULT '' -- a network prefix
) STRICT;
CREATE INDEX app_passwords_account ON app_passwords (account);

CREATE TABLE client_certificates (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL, -- SHA-256 of the certificate in hexadecimal; empty: known by its subject
    subject TEXT NOT NULL, -- RFC 4514; empty: known by its fingerprint
    sends_as TEXT NOT NULL,
    made_at REAL NOT NULL,
    made_by TEXT NOT NULL,
    expires_at REAL,
    used_at REAL,
    used_from TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX client_certificates_fingerprint ON client_certificates (fingerprint) WHERE fingerprint <> '';
CREATE UNIQUE INDEX client_certificates_subject ON client_certificates (subject) WHERE subject <> '';
CREATE INDEX client_certificates_account ON client_certificates (account);
