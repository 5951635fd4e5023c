-- Rotation of master KEKs and account KEKs.

-- The oldest version of the account's KEK that still counts: the newest, unless a rotation is under way.
ALTER TABLE accounts ADD COLUMN oldest_kek_version INTEGER NOT NULL DEFAULT 1;

CREATE INDEX accounts_rotating ON accounts (domain, id) WHERE oldest_kek_version < kek_version;

-- Bytes 2 to 5 of a wrapped key are the version of the master KEK that wrapped it.
CREATE INDEX account_keks_by_master_kek ON account_keks (substr(wrapped, 2, 4), account, version);

-- The versions of a domain's master KEK that count no more.
CREATE TABLE retired_master_keks (
    domain  INTEGER NOT NULL REFERENCES domains (number),
    version INTEGER NOT NULL,
    retired INTEGER NOT NULL,
    mac     BLOB NOT NULL,
    PRIMARY KEY (domain, version)
) STRICT, WITHOUT ROWID;
