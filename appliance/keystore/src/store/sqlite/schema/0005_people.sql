-- Second factors, passkeys, recovery of accounts, invitations and the mail that goes with them.

-- When a credential was set up and last used, and whether it opens a session only together with a second factor.
ALTER TABLE credentials ADD COLUMN created INTEGER;
ALTER TABLE credentials ADD COLUMN used INTEGER;
ALTER TABLE credentials ADD COLUMN second_factor INTEGER NOT NULL DEFAULT 0;

CREATE TABLE passkeys (
    id         BLOB PRIMARY KEY,
    account    BLOB NOT NULL REFERENCES accounts (id),
    credential BLOB NOT NULL UNIQUE,
    public_key BLOB NOT NULL,
    sign_count INTEGER NOT NULL,
    name       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    used       INTEGER,
    mac        BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX passkeys_by_account ON passkeys (account, created);
