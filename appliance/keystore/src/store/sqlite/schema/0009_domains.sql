-- What a domain's operators have set: whether it is suspended, and its quotas.

-- Absent: it is not suspended and has no quotas. The record's MAC covers that it is absent.
ALTER TABLE domains ADD COLUMN settings BLOB;

-- Counts the keys that are not destroyed, for the quota.
CREATE INDEX keys_living ON keys (domain) WHERE state <> 6;
