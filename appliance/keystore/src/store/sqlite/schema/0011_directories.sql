-- Directories that manage accounts by SCIM, and what they say of each account.
CREATE TABLE directories (
    id            BLOB PRIMARY KEY,
    domain        INTEGER NOT NULL REFERENCES domains (number),
    name          TEXT NOT NULL,
    token_hash    BLOB NOT NULL UNIQUE,
    token_created INTEGER NOT NULL,
    expires       INTEGER,
    networks      TEXT NOT NULL,
    created       INTEGER NOT NULL,
    mac           BLOB NOT NULL,
    UNIQUE (domain, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE directory_accounts (
    account     BLOB PRIMARY KEY REFERENCES accounts (id),
    directory   BLOB NOT NULL REFERENCES directories (id),
    kind        INTEGER NOT NULL,
    name        TEXT NOT NULL,
    external_id TEXT,
    document    TEXT NOT NULL,
    suspended   INTEGER,
    invited     INTEGER,
    created     INTEGER NOT NULL,
    updated     INTEGER NOT NULL,
    mac         BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX directory_accounts_in_order ON directory_accounts (directory, kind, account);
CREATE INDEX directory_accounts_by_name ON directory_accounts (directory, kind, name);
CREATE INDEX directory_accounts_by_external_id ON directory_accounts (directory, kind, external_id);
