-- What status, console and metrics count of a long queue, found without reading all of it. Neither is touched when mail is
-- taken in: they have rows only for what is being tried, stopped or asked for.
CREATE INDEX queue_claimed ON queue (worker) WHERE worker IS NOT NULL;
CREATE INDEX queue_stopped ON queue (id) WHERE held_because IS NOT NULL;
CREATE INDEX quarantine_requested ON quarantine (id) WHERE state = 'requested';
