-- How often each act was done and refused in each hour, for the console's charts. What decides anything is counted from the leaves themselves.
CREATE TABLE leaf_counts (
    domain INTEGER NOT NULL,
    hour   INTEGER NOT NULL,
    act    INTEGER NOT NULL,
    done   INTEGER NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (domain, hour, act, done)
) STRICT, WITHOUT ROWID;
