-- Whose mail a message is, of our own people and machines; and accounts whose mail is held, because they behave as if
-- somebody else had them. A hold concerns everything queued for the account, and whatever it hands in until it ends.
ALTER TABLE messages ADD COLUMN account TEXT NOT NULL DEFAULT '';
CREATE INDEX messages_account ON messages (account) WHERE account <> '';

CREATE TABLE held_accounts (
    account TEXT PRIMARY KEY,
    held_at REAL NOT NULL,
    reason TEXT NOT NULL,
    ref TEXT NOT NULL -- the message at which it showed
) STRICT, WITHOUT ROWID;

-- Whose outgoing mail an entry of history is about; empty for what came in.
ALTER TABLE history ADD COLUMN account TEXT NOT NULL DEFAULT '';
CREATE INDEX history_account ON history (account, at) WHERE account <> '';
