-- What people search for of each entry of history, in few octets and in the order of time: a search reads ten thousand of
-- these where it would read fifty whole entries. It takes the place of the index by time.
-- `folded` is our own (store/migrations.py).
CREATE TABLE history_gist (
    at REAL NOT NULL,
    id INTEGER NOT NULL, -- of history
    kind TEXT NOT NULL,
    action TEXT NOT NULL,
    sender TEXT NOT NULL,
    client TEXT NOT NULL,
    account TEXT NOT NULL,
    domains TEXT NOT NULL, -- of the recipients, each between blanks
    rules TEXT NOT NULL, -- that decided, each between blanks
    subject TEXT NOT NULL, -- folded
    PRIMARY KEY (at, id)
) STRICT, WITHOUT ROWID;

INSERT INTO history_gist
    SELECT h.at, h.id, h.kind, h.action, h.sender, h.client, h.account, h.recipient_domains,
        ' ' || coalesce(
            (SELECT group_concat(rule, ' ') FROM (
                SELECT DISTINCT json_extract(value, '$.verdict.rule') AS rule
                FROM json_each(CAST(h.facts AS TEXT), '$.judged'))),
            json_extract(CAST(h.facts AS TEXT), '$.findings[0].name'), 'session') || ' ',
        folded(coalesce(json_extract(CAST(h.facts AS TEXT), '$.subject'), ''))
    FROM history h ORDER BY h.at, h.id;
DROP INDEX history_at;
