-- Recovery KEKs, what custodians need to recover master KEKs, and the keys that sign checkpoints.

-- The versions of a domain's recovery KEK. The keys themselves are in the HSM, which only wraps with them, and in the custodians' shares.
CREATE TABLE recovery_keks (
    domain      INTEGER NOT NULL REFERENCES domains (number),
    version     INTEGER NOT NULL,
    share_set   INTEGER NOT NULL,
    threshold   INTEGER NOT NULL,
    custodians  TEXT NOT NULL,
    check_value BLOB NOT NULL,
    created     INTEGER NOT NULL,
    mac         BLOB NOT NULL,
    PRIMARY KEY (domain, version)
) STRICT, WITHOUT ROWID;

-- Versions of the master KEK, wrapped under recovery KEKs inside the HSM.
CREATE TABLE recovery_blobs (
    domain     INTEGER NOT NULL REFERENCES domains (number),
    master_kek INTEGER NOT NULL,
    blob       BLOB NOT NULL,
    mac        BLOB NOT NULL,
    PRIMARY KEY (domain, master_kek)
) STRICT, WITHOUT ROWID;

-- Checkpoint keys beside the one with which the domain began, which has a row only once it has ended.
CREATE TABLE checkpoint_keys (
    domain    INTEGER NOT NULL REFERENCES domains (number),
    key       BLOB NOT NULL,
    from_size INTEGER NOT NULL,
    to_size   INTEGER,
    mac       BLOB NOT NULL,
    PRIMARY KEY (domain, key)
) STRICT, WITHOUT ROWID;

-- The signed transcripts of ceremonies, by the leaf that has their SHA-256.
CREATE TABLE transcripts (
    domain INTEGER NOT NULL REFERENCES domains (number),
    leaf   INTEGER NOT NULL,
    note   TEXT NOT NULL,
    PRIMARY KEY (domain, leaf)
) STRICT, WITHOUT ROWID;
