-- Usage policies at three levels, how strongly sessions were signed in, and when they were last used.

-- Absent: a policy that restricts nothing. The record's MAC covers that it is absent.
ALTER TABLE domains ADD COLUMN policy BLOB;
ALTER TABLE keys ADD COLUMN restrictions BLOB;
ALTER TABLE grants ADD COLUMN restrictions BLOB;

-- Sessions from before say nothing of that: their holders sign in again.
DELETE FROM sessions;
ALTER TABLE sessions ADD COLUMN strength INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN seen_from TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN seen_mac BLOB NOT NULL DEFAULT x'';

CREATE INDEX sessions_by_use ON sessions (seen);
