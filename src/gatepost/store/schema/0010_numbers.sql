-- What came, counted by the hour: charts and figures read this instead of a million messages. Names nobody.
CREATE TABLE numbers (
    what TEXT NOT NULL, -- verdict, rule, score, classifier, ms, list
    hour INTEGER NOT NULL, -- Unix seconds / 3600
    key TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (what, hour, key)
) STRICT, WITHOUT ROWID;

INSERT INTO numbers
    SELECT 'verdict', CAST(at / 3600 AS INTEGER), kind || '|' || action, count(*) FROM history GROUP BY 2, 3;
INSERT INTO numbers
    SELECT 'rule', CAST(at / 3600 AS INTEGER), action || '|' || json_extract(CAST(facts AS TEXT), '$.judged[0].verdict.rule'), count(*)
    FROM history WHERE json_extract(CAST(facts AS TEXT), '$.judged[0].verdict.rule') IS NOT NULL GROUP BY 2, 3;
