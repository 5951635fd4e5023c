-- What a key's maker settles besides its release; and the objects of a key, which go when it is destroyed.
ALTER TABLE keys ADD COLUMN authenticate_each INTEGER NOT NULL DEFAULT 0;

CREATE INDEX objects_by_key ON objects (key) WHERE key IS NOT NULL;
