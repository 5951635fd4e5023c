-- Requests that created keys and are remembered for a while, so that one that is made again makes no other keys.
CREATE TABLE requests (
    account         BLOB NOT NULL REFERENCES accounts (id),
    idempotency_key BLOB NOT NULL,
    digest          BLOB NOT NULL,
    keys            BLOB NOT NULL,
    expires         INTEGER NOT NULL,
    mac             BLOB NOT NULL,
    PRIMARY KEY (account, idempotency_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX requests_by_expiry ON requests (expires);
