-- The objects of a key, which go when it is destroyed.
CREATE INDEX objects_by_key ON objects (key) WHERE key IS NOT NULL;
