-- Lawful access: documents, approval keys, authorisations with their generations, and approvals.

-- Documents that leaves name by SHA-256: records, evidence, warrants. Sealed, as they say who is concerned.
CREATE TABLE documents (
    domain  INTEGER NOT NULL REFERENCES domains (number),
    sha256  BLOB NOT NULL,
    kind    INTEGER NOT NULL,
    created INTEGER NOT NULL,
    sealed  BLOB NOT NULL,
    PRIMARY KEY (domain, sha256)
) STRICT;

-- Public keys that accounts approve with.
CREATE TABLE approval_keys (
    id         BLOB PRIMARY KEY,
    account    BLOB NOT NULL REFERENCES accounts (id),
    public_key BLOB NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    mac        BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX approval_keys_by_account ON approval_keys (account, created);

CREATE TABLE authorisations (
    id         BLOB PRIMARY KEY,
    domain     INTEGER NOT NULL REFERENCES domains (number),
    generation INTEGER NOT NULL,
    record     BLOB NOT NULL,
    state      INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    resumes_to INTEGER,
    reason     TEXT,
    ratify_by  INTEGER,
    terminated INTEGER,
    ends       INTEGER NOT NULL,
    mac        BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX authorisations_by_state ON authorisations (domain, state, id);

-- Every generation that an authorisation has had, and who entered it.
CREATE TABLE authorisation_generations (
    authorisation BLOB NOT NULL REFERENCES authorisations (id),
    generation    INTEGER NOT NULL,
    record        BLOB NOT NULL,
    entered_by    BLOB NOT NULL REFERENCES accounts (id),
    entered       INTEGER NOT NULL,
    mac           BLOB NOT NULL,
    PRIMARY KEY (authorisation, generation)
) STRICT, WITHOUT ROWID;

-- What was decided on a generation of an authorisation.
CREATE TABLE approvals (
    subject     BLOB NOT NULL,
    generation  INTEGER NOT NULL,
    account     BLOB NOT NULL REFERENCES accounts (id),
    decision    INTEGER NOT NULL,
    time        INTEGER NOT NULL,
    valid_until INTEGER NOT NULL,
    evidence    BLOB NOT NULL,
    mac         BLOB NOT NULL,
    PRIMARY KEY (subject, generation, account)
) STRICT, WITHOUT ROWID;

-- Acts that were proposed and wait for their approvals.
CREATE TABLE proposals (
    id          BLOB PRIMARY KEY,
    domain      INTEGER NOT NULL REFERENCES domains (number),
    request     BLOB NOT NULL,
    proposed_by BLOB NOT NULL REFERENCES accounts (id),
    created     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    role        INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    mac         BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX proposals_by_account ON proposals (proposed_by, id);
CREATE INDEX proposals_by_role ON proposals (domain, role, id);
