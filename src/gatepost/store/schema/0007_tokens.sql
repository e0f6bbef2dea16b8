-- What an identity provider knows people as, and tokens that programs call the API with.
CREATE TABLE provider_identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    linked_at REAL NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX provider_identities_account ON provider_identities (account, issuer);

CREATE TABLE api_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    selector TEXT NOT NULL UNIQUE,
    hash BLOB NOT NULL, -- SHA-256 of the secret, which is random and long
    name TEXT NOT NULL,
    scopes TEXT NOT NULL, -- rights between blanks
    networks TEXT NOT NULL, -- between blanks; empty: from everywhere
    made_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    revoked_at REAL,
    used_at REAL,
    used_from TEXT NOT NULL DEFAULT '' -- a network prefix
) STRICT;
CREATE INDEX api_tokens_account ON api_tokens (account);
