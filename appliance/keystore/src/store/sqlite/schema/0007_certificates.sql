-- The names in client certificates by which accounts are known.
CREATE TABLE certificate_names (
    domain  INTEGER NOT NULL REFERENCES domains (number),
    kind    INTEGER NOT NULL,
    value   TEXT NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    created INTEGER NOT NULL,
    mac     BLOB NOT NULL,
    PRIMARY KEY (domain, kind, value)
) STRICT, WITHOUT ROWID;

CREATE INDEX certificate_names_by_account ON certificate_names (account, kind, value);
