"""The tables of a checkpoint file, and how it tells that it is one.

A `piece` is a row per delivered piece: consecutive outcomes of one worker. Rows are only ever
added. Of several outcomes with one key, the one in the last row counts. Columns that may be large
come last, so that reading the keys of a file does not read its values.

    run       a function, by name and version, whose outcomes the file holds
    session   one process's work on a run; `ended` is NULL if it was killed, or still works
    piece     keys and outcomes; see codec.py for their form
    suspect   keys of items that were in flight when a session was killed, and at how many in a row
"""

from __future__ import annotations

# "MIpc": in the header of the file, where file(1) finds it.
APPLICATION_ID = 0x4D497063
VERSION = 1

TABLES = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT,
    created REAL NOT NULL
);
CREATE UNIQUE INDEX run_identity ON run (name, ifnull(version, ''), version IS NULL);
CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run,
    fingerprint TEXT NOT NULL,
    python TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started REAL NOT NULL,
    ended REAL
);
CREATE TABLE piece (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES session,
    total INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    pickled INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    worker TEXT NOT NULL,
    recorded REAL NOT NULL,
    checksum BLOB NOT NULL,
    keys NOT NULL,
    failed_at TEXT,
    failures TEXT,
    times BLOB,
    items TEXT,
    results NOT NULL
);
CREATE TABLE suspect (
    run INTEGER NOT NULL REFERENCES run,
    key TEXT NOT NULL,
    kills INTEGER NOT NULL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
"""
