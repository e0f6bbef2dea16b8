-- MTA-STS policies of other domains, which must outlive a restart, and how sessions with their mail hosts went.
CREATE TABLE sts_known (
    domain TEXT NOT NULL PRIMARY KEY,
    policy_id TEXT NOT NULL,
    mode TEXT NOT NULL,
    mx TEXT NOT NULL, -- patterns, between blanks
    max_age_s INTEGER NOT NULL,
    fetched_at REAL NOT NULL,
    used_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sts_known_fetched_at ON sts_known (fetched_at);

-- One row for sessions that were alike in one UTC day: what RFC 8460 reports are made from.
CREATE TABLE tls_sessions (
    day INTEGER NOT NULL, -- days since 1970
    domain TEXT NOT NULL,
    alike BLOB NOT NULL, -- the session as JSON, without the count
    sessions INTEGER NOT NULL,
    PRIMARY KEY (day, domain, alike)
) STRICT, WITHOUT ROWID;

-- A day's report to a domain: what became of it, so that none is sent twice.
CREATE TABLE tls_reports (
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    at REAL NOT NULL,
    tries INTEGER NOT NULL,
    done INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (day, domain)
) STRICT, WITHOUT ROWID;
