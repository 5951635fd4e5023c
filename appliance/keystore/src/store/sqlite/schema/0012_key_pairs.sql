-- What is settled about a key when it is made, and the public keys of key pairs, one for each version.
ALTER TABLE keys ADD COLUMN length INTEGER;
ALTER TABLE keys ADD COLUMN releasable INTEGER NOT NULL DEFAULT 1;
ALTER TABLE keys ADD COLUMN origin INTEGER NOT NULL DEFAULT 1;
ALTER TABLE keys ADD COLUMN protection INTEGER NOT NULL DEFAULT 1;

CREATE TABLE public_keys (
    key        BLOB NOT NULL REFERENCES keys (id),
    version    INTEGER NOT NULL,
    public_key BLOB NOT NULL,
    mac        BLOB NOT NULL,
    PRIMARY KEY (key, version)
) STRICT, WITHOUT ROWID;
