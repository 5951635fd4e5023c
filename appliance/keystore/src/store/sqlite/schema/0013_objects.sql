-- What accounts say of their keys' parts, and their certificates, data and other objects; and when something that an account sees last changed.
CREATE TABLE objects (
    owner      BLOB NOT NULL REFERENCES accounts (id),
    id         BLOB NOT NULL,
    part       INTEGER NOT NULL,
    domain     INTEGER NOT NULL REFERENCES domains (number),
    key        BLOB REFERENCES keys (id),
    class      INTEGER NOT NULL,
    kind       INTEGER,
    label      BLOB NOT NULL,
    cka_id     BLOB NOT NULL,
    attributes BLOB NOT NULL,
    gone       INTEGER NOT NULL,
    created    INTEGER NOT NULL,
    updated    INTEGER NOT NULL,
    mac        BLOB NOT NULL,
    PRIMARY KEY (owner, id, part)
) STRICT, WITHOUT ROWID;

CREATE INDEX objects_by_label ON objects (owner, label, id, part);
CREATE INDEX objects_by_cka_id ON objects (owner, cka_id, id, part);
CREATE INDEX objects_by_class ON objects (owner, class, id, part);
CREATE INDEX keys_by_label ON keys (label);

CREATE TABLE changes (
    account BLOB PRIMARY KEY,
    number  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
