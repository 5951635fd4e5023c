-- Devices, the secrets that devices and services sign their requests with, and the nonces of such requests.

CREATE TABLE devices (
    account   BLOB PRIMARY KEY REFERENCES accounts (id),
    domain    INTEGER NOT NULL REFERENCES domains (number),
    serial    TEXT,
    fleet     TEXT,
    paired_by BLOB REFERENCES accounts (id),
    admitted  INTEGER,
    revoked   INTEGER,
    mac       BLOB NOT NULL,
    UNIQUE (domain, serial)
) STRICT, WITHOUT ROWID;

CREATE INDEX devices_by_domain ON devices (domain, account);
CREATE INDEX devices_by_fleet ON devices (domain, fleet, account);
CREATE INDEX devices_by_owner ON devices (paired_by, account) WHERE paired_by IS NOT NULL;

-- An account has two while it changes from one to the next.
CREATE TABLE account_secrets (
    account     BLOB NOT NULL REFERENCES accounts (id),
    generation  INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    kek_version INTEGER NOT NULL,
    sealed      BLOB NOT NULL,
    PRIMARY KEY (account, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE spent_nonces (
    account BLOB NOT NULL,
    nonce   BLOB NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (account, nonce)
) STRICT, WITHOUT ROWID;

CREATE INDEX spent_nonces_by_expiry ON spent_nonces (expires);
