-- The first schema. Every column is either covered by a seal or MAC, or listed with its reason in sqlite/coverage.rs.

CREATE TABLE domains (
    number         INTEGER PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    origin         TEXT NOT NULL,
    domain_key     BLOB NOT NULL,
    opaque_setup   BLOB NOT NULL,
    checkpoint_key BLOB NOT NULL,
    created        INTEGER NOT NULL,
    mac            BLOB NOT NULL
) STRICT;

CREATE TABLE accounts (
    id          BLOB PRIMARY KEY,
    domain      INTEGER NOT NULL REFERENCES domains (number),
    name        TEXT NOT NULL,
    kind        INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    roles       INTEGER NOT NULL,
    kek_version INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    mac         BLOB NOT NULL,
    UNIQUE (domain, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE account_keks (
    account BLOB NOT NULL REFERENCES accounts (id),
    version INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    mac     BLOB NOT NULL,
    PRIMARY KEY (account, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE memberships (
    group_id           BLOB NOT NULL REFERENCES accounts (id),
    member             BLOB NOT NULL REFERENCES accounts (id),
    membership         INTEGER NOT NULL,
    group_kek_version  INTEGER NOT NULL,
    member_kek_version INTEGER NOT NULL,
    sealed             BLOB NOT NULL,
    PRIMARY KEY (group_id, member)
) STRICT, WITHOUT ROWID;

CREATE INDEX memberships_by_member ON memberships (member);

CREATE TABLE credentials (
    account BLOB NOT NULL REFERENCES accounts (id),
    kind    INTEGER NOT NULL,
    data    BLOB NOT NULL,
    expires INTEGER,
    mac     BLOB NOT NULL,
    PRIMARY KEY (account, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    token_hash  BLOB PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE,
    account     BLOB NOT NULL REFERENCES accounts (id),
    created     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    source      TEXT NOT NULL,
    kek_version INTEGER NOT NULL,
    sealed      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_account ON sessions (account, created);
CREATE INDEX sessions_by_expiry ON sessions (expires);

CREATE TABLE keys (
    id           BLOB PRIMARY KEY,
    domain       INTEGER NOT NULL REFERENCES domains (number),
    owner        BLOB NOT NULL REFERENCES accounts (id),
    sender       BLOB NOT NULL REFERENCES accounts (id),
    recipients   BLOB NOT NULL,
    algorithm    INTEGER NOT NULL,
    state        INTEGER NOT NULL,
    label        TEXT NOT NULL,
    content_type TEXT,
    version      INTEGER NOT NULL,
    not_before   INTEGER,
    not_after    INTEGER,
    max_releases INTEGER,
    releases     INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    mac          BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_by_sender ON keys (sender, id);

CREATE TABLE key_recipients (
    recipient BLOB NOT NULL,
    key       BLOB NOT NULL REFERENCES keys (id),
    PRIMARY KEY (recipient, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE grants (
    id           BLOB PRIMARY KEY,
    key          BLOB NOT NULL REFERENCES keys (id),
    grantee      BLOB NOT NULL REFERENCES accounts (id),
    granted_by   BLOB NOT NULL,
    state        INTEGER NOT NULL,
    rights       INTEGER NOT NULL,
    not_before   INTEGER,
    not_after    INTEGER,
    max_releases INTEGER,
    releases     INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    mac          BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX grants_by_key ON grants (key, grantee, state);
CREATE INDEX grants_by_grantee ON grants (grantee, key);

CREATE TABLE grant_copies (
    grant_id    BLOB NOT NULL REFERENCES grants (id),
    version     INTEGER NOT NULL,
    kek_version INTEGER NOT NULL,
    sealed      BLOB NOT NULL,
    PRIMARY KEY (grant_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE leaves (
    domain   INTEGER NOT NULL REFERENCES domains (number),
    idx      INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    salt     BLOB NOT NULL,
    detail   BLOB NOT NULL,
    PRIMARY KEY (domain, idx)
) STRICT, WITHOUT ROWID;

-- Who and what a leaf concerns, so that people find theirs: repeats the leaves' details.
CREATE TABLE leaves_by_account (
    account BLOB NOT NULL,
    domain  INTEGER NOT NULL,
    idx     INTEGER NOT NULL,
    PRIMARY KEY (account, domain, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE leaves_by_key (
    key    BLOB NOT NULL,
    domain INTEGER NOT NULL,
    idx    INTEGER NOT NULL,
    PRIMARY KEY (key, domain, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE tree_nodes (
    domain INTEGER NOT NULL,
    idx    INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    PRIMARY KEY (domain, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    domain INTEGER NOT NULL,
    size   INTEGER NOT NULL,
    note   TEXT NOT NULL,
    PRIMARY KEY (domain, size)
) STRICT, WITHOUT ROWID;
