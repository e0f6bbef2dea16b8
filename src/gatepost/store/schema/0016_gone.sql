-- What must not come back by a restored backup: erasures, and what people were before it was taken away. Written with the act
-- itself, by triggers where an account changes, so that no way of doing it can forget it.
CREATE TABLE gone (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: a backup's highest says from where on it knows nothing
    at REAL NOT NULL,
    kind TEXT NOT NULL, -- erased, journal, account, disabled, enabled, roles, passkey, address
    whom TEXT NOT NULL, -- an address, a login or a name
    what TEXT NOT NULL DEFAULT '' -- the roles left, the passkey's credential, the address taken away
) STRICT;
CREATE INDEX gone_at ON gone (at);

CREATE TRIGGER gone_account AFTER DELETE ON accounts BEGIN
    INSERT INTO gone (at, kind, whom) VALUES (unixepoch('subsec'), 'account', old.login);
END;
CREATE TRIGGER gone_roles AFTER UPDATE OF roles ON accounts WHEN new.roles <> old.roles BEGIN
    INSERT INTO gone (at, kind, whom, what) VALUES (unixepoch('subsec'), 'roles', new.login, trim(new.roles));
END;
CREATE TRIGGER gone_disabled AFTER UPDATE OF disabled_at ON accounts WHEN (new.disabled_at IS NULL) <> (old.disabled_at IS NULL) BEGIN
    INSERT INTO gone (at, kind, whom, what) VALUES (
        unixepoch('subsec'), iif(new.disabled_at IS NULL, 'enabled', 'disabled'), new.login, new.disabled_because);
END;
CREATE TRIGGER gone_passkey AFTER DELETE ON passkeys BEGIN
    INSERT INTO gone (at, kind, whom, what) VALUES (
        unixepoch('subsec'), 'passkey', coalesce((SELECT login FROM accounts WHERE id = old.account), ''), lower(hex(old.credential)));
END;
CREATE TRIGGER gone_address AFTER DELETE ON account_addresses BEGIN
    INSERT INTO gone (at, kind, whom, what) VALUES (
        unixepoch('subsec'), 'address', coalesce((SELECT login FROM accounts WHERE id = old.account), ''), old.address);
END;
