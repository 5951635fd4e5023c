-- Cosignatures of witnesses, the lists of rows that leaves commit to, and how far the log was fed to its receivers.

CREATE TABLE cosignatures (
    domain  INTEGER NOT NULL,
    size    INTEGER NOT NULL,
    -- The witness's verifier key.
    witness TEXT NOT NULL,
    -- Its signature line.
    line    TEXT NOT NULL,
    PRIMARY KEY (domain, size, witness)
) STRICT, WITHOUT ROWID;

CREATE TABLE leaf_rows (
    domain INTEGER NOT NULL,
    idx    INTEGER NOT NULL,
    rows   BLOB NOT NULL,
    PRIMARY KEY (domain, idx)
) STRICT, WITHOUT ROWID;

-- The index of the leaf that comes next, by the receiver's name.
CREATE TABLE feeds (
    domain INTEGER NOT NULL,
    name   TEXT NOT NULL,
    next   INTEGER NOT NULL,
    PRIMARY KEY (domain, name)
) STRICT, WITHOUT ROWID;
