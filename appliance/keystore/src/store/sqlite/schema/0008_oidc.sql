-- The identities at OpenID providers that accounts are linked with.
CREATE TABLE identity_links (
    domain  INTEGER NOT NULL REFERENCES domains (number),
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    created INTEGER NOT NULL,
    used    INTEGER,
    mac     BLOB NOT NULL,
    PRIMARY KEY (domain, issuer, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX identity_links_by_account ON identity_links (account, created);

-- The memberships that are there because a provider says so, and end when it does not any more.
CREATE TABLE identity_memberships (
    group_id BLOB NOT NULL REFERENCES accounts (id),
    member   BLOB NOT NULL REFERENCES accounts (id),
    issuer   TEXT NOT NULL,
    created  INTEGER NOT NULL,
    mac      BLOB NOT NULL,
    PRIMARY KEY (member, group_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX identity_memberships_by_group ON identity_memberships (group_id);
