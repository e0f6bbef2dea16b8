-- What people taught the classifier. Rows are only added: the newest one of a message and an owner says what it is
-- to them from now on. The model is what all of them make of it, in their order, so a lost one is made again from here.
CREATE TABLE lessons (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: a model says up to which it has learnt
    at REAL NOT NULL,
    content BLOB NOT NULL, -- digest of what the message says
    owner TEXT NOT NULL, -- whose lesson it is: an address of ours; empty for the site's own
    spam INTEGER, -- 1 unwanted, 0 wanted, NULL: to be forgotten
    was INTEGER, -- the same before this row; NULL: nothing was known
    how TEXT NOT NULL,
    who TEXT NOT NULL,
    ref TEXT NOT NULL, -- of the message in history, where it came through the gate
    features BLOB NOT NULL
) STRICT;
CREATE INDEX lessons_content ON lessons (content, owner, number);
CREATE INDEX lessons_owner ON lessons (owner, at);
CREATE INDEX lessons_ref ON lessons (ref, owner, number) WHERE ref <> '';
CREATE INDEX lessons_at ON lessons (at);
