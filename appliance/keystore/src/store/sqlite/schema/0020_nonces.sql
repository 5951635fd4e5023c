-- Spent nonces in the order of their time, so that each is added at the end of one tree. Which are spent is looked up in memory.
ALTER TABLE spent_nonces RENAME TO spent_nonces_before;
DROP INDEX spent_nonces_by_expiry;
CREATE TABLE spent_nonces (
    expires INTEGER NOT NULL,
    account BLOB NOT NULL,
    nonce   BLOB NOT NULL,
    PRIMARY KEY (expires, account, nonce)
) STRICT, WITHOUT ROWID;
INSERT INTO spent_nonces SELECT expires, account, nonce FROM spent_nonces_before;
DROP TABLE spent_nonces_before;
