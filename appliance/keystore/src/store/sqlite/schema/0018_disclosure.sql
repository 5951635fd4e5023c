-- Disclosures under authorisations, what they delivered, keys that a hold keeps, and what owners are told when the delay is over.
CREATE TABLE disclosures (
    id            BLOB PRIMARY KEY,
    domain        INTEGER NOT NULL REFERENCES domains (number),
    authorisation BLOB NOT NULL,
    generation    INTEGER NOT NULL,
    executor      BLOB NOT NULL REFERENCES accounts (id),
    executed      INTEGER NOT NULL,
    items         INTEGER NOT NULL,
    digest        BLOB NOT NULL,
    releaser      BLOB REFERENCES accounts (id),
    released      INTEGER,
    manifest      BLOB,
    leaf          INTEGER,
    mac           BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX disclosures_by_authorisation ON disclosures (authorisation, id);

CREATE TABLE disclosure_items (
    disclosure    BLOB NOT NULL REFERENCES disclosures (id),
    sequence      INTEGER NOT NULL,
    authorisation BLOB NOT NULL,
    generation    INTEGER NOT NULL,
    key           BLOB NOT NULL REFERENCES keys (id),
    version       INTEGER NOT NULL,
    record        BLOB NOT NULL,
    sealed        BLOB NOT NULL,
    mac           BLOB NOT NULL,
    PRIMARY KEY (disclosure, sequence)
) STRICT, WITHOUT ROWID;

CREATE INDEX disclosure_items_by_key ON disclosure_items (authorisation, generation, key, version);

-- Copies of destroyed keys that disclosures alone open, while a hold lasts.
CREATE TABLE held_keys (
    key     BLOB NOT NULL REFERENCES keys (id),
    version INTEGER NOT NULL,
    domain  INTEGER NOT NULL REFERENCES domains (number),
    held    INTEGER NOT NULL,
    sealed  BLOB NOT NULL,
    PRIMARY KEY (key, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX held_keys_in_order ON held_keys (domain, held, key, version);

CREATE TABLE notifications (
    account    BLOB NOT NULL REFERENCES accounts (id),
    disclosure BLOB NOT NULL REFERENCES disclosures (id),
    domain     INTEGER NOT NULL REFERENCES domains (number),
    due        INTEGER NOT NULL,
    told       INTEGER,
    mac        BLOB NOT NULL,
    PRIMARY KEY (account, disclosure)
) STRICT, WITHOUT ROWID;

CREATE INDEX notifications_due ON notifications (domain, due) WHERE told IS NULL;

-- By which the items of a scope are found: messages are keys that one account gave another.
CREATE INDEX grants_sent ON grants (granted_by, created, key, grantee) WHERE granted_by <> grantee;
CREATE INDEX grants_received ON grants (grantee, created, key, granted_by) WHERE granted_by <> grantee;
CREATE INDEX grants_between ON grants (granted_by, grantee, created, key) WHERE granted_by <> grantee;
CREATE INDEX keys_by_owner_and_label ON keys (owner, label, created, id);
