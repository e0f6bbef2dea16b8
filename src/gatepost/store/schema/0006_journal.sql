-- The journal's chain goes over salted digests of what may name a person; the values and their salts lie apart, and can be
-- erased while the chain still holds.
DROP INDEX journal_subject;
ALTER TABLE journal RENAME TO journal_before;
CREATE TABLE journal (
    number INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    kind TEXT NOT NULL, -- room and verb
    digests TEXT, -- JSON: field -> SHA-256(salt || value); NULL: written before there were any, chained over the values
    chain BLOB NOT NULL
) STRICT;
CREATE INDEX journal_kind ON journal (kind, number);

CREATE TABLE journal_fields (
    number INTEGER NOT NULL,
    name TEXT NOT NULL, -- who, detail, why, subject
    value TEXT NOT NULL,
    salt BLOB NOT NULL,
    PRIMARY KEY (number, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX journal_fields_subject ON journal_fields (value, number) WHERE name = 'subject';
CREATE INDEX journal_fields_who ON journal_fields (value, number) WHERE name = 'who';

-- Of what was done, the first two words are the kind; what stands in the way of that stays whole.
CREATE TEMP TABLE apart AS
    SELECT number, CASE
        WHEN instr(what, ' ') = 0 OR instr(substr(what, instr(what, ' ') + 1), ' ') = 0 THEN length(what)
        ELSE instr(what, ' ') + instr(substr(what, instr(what, ' ') + 1), ' ') - 1
    END AS kept FROM journal_before;
UPDATE apart SET kept = (SELECT instr(what, ' ') - 1 FROM journal_before b WHERE b.number = apart.number)
    WHERE (SELECT instr(substr(what, 1, kept), '@') + instr(substr(what, 1, kept), '<') > 0 AND instr(what, ' ') > 1
        FROM journal_before b WHERE b.number = apart.number);
UPDATE apart SET kept = (SELECT length(what) FROM journal_before b WHERE b.number = apart.number)
    WHERE (SELECT substr(what, kept + 2) = '' FROM journal_before b WHERE b.number = apart.number);
INSERT INTO journal SELECT number, at, substr(what, 1, kept), NULL, chain FROM journal_before JOIN apart USING (number);
INSERT INTO journal_fields SELECT number, 'who', who, x'' FROM journal_before;
INSERT INTO journal_fields SELECT number, 'why', why, x'' FROM journal_before;
INSERT INTO journal_fields SELECT number, 'subject', subject, x'' FROM journal_before;
INSERT INTO journal_fields
    SELECT number, 'detail', substr(what, kept + 2), x'' FROM journal_before JOIN apart USING (number);
DROP TABLE temp.apart;
DROP TABLE journal_before;
