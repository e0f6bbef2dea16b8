-- How a correspondent's mail usually comes: how often unproved, and from which countries and networks (JSON: place -> count).
ALTER TABLE correspondents ADD COLUMN unproved INTEGER NOT NULL DEFAULT 0;
ALTER TABLE correspondents ADD COLUMN places TEXT NOT NULL DEFAULT '{}';
CREATE INDEX correspondents_replied ON correspondents (last_seen) WHERE replied = 1;
