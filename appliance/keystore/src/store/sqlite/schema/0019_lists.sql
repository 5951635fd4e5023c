-- By which lists of the web interfaces are found without passing by what is not in them.
CREATE INDEX accounts_with_roles ON accounts (domain, name) WHERE roles <> 0;
-- 2 is active.
CREATE INDEX accounts_not_active ON accounts (domain, name) WHERE state <> 2;
CREATE INDEX accounts_by_kind ON accounts (domain, kind, name);
-- 1 is open.
CREATE INDEX proposals_open ON proposals (domain, id) WHERE state = 1;

-- What waits for an officer.
CREATE INDEX authorisations_by_end ON authorisations (domain, state, ends, id);
CREATE INDEX disclosures_unreleased ON disclosures (domain, authorisation, generation) WHERE released IS NULL;
