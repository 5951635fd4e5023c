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

-- Recoveries of accounts that are under way, one an account at most.
CREATE TABLE account_recoveries (
    account     BLOB PRIMARY KEY REFERENCES accounts (id),
    started_by  BLOB NOT NULL,
    started     INTEGER NOT NULL,
    code        BLOB NOT NULL,
    approved_by BLOB,
    approval    BLOB,
    effective   INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    mac         BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Who invited whom by mail.
CREATE TABLE invitations (
    account BLOB NOT NULL REFERENCES accounts (id),
    created INTEGER NOT NULL,
    inviter BLOB NOT NULL REFERENCES accounts (id),
    mac     BLOB NOT NULL,
    PRIMARY KEY (account, created)
) STRICT, WITHOUT ROWID;

CREATE INDEX invitations_by_inviter ON invitations (inviter, created);

-- Mail that waits to be sent.
CREATE TABLE outbox (
    id           BLOB PRIMARY KEY,
    domain       INTEGER NOT NULL REFERENCES domains (number),
    account      BLOB NOT NULL REFERENCES accounts (id),
    expires      INTEGER NOT NULL,
    sealed       BLOB NOT NULL,
    attempts     INTEGER NOT NULL,
    next_attempt INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_by_time ON outbox (domain, next_attempt);
