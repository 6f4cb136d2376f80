-- Schema 8: where the reducing of a session can go on, so that new events cost what they are.

-- Between two projections: one row each a session, a process, a cut and a moment; see timeline/checkpoints.py.
CREATE TABLE checkpoint_sessions (
    session TEXT PRIMARY KEY,
    state TEXT NOT NULL
) STRICT;

CREATE TABLE checkpoint_processes (
    session TEXT NOT NULL,
    process TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (session, process)
) STRICT;

CREATE TABLE checkpoint_cuts (
    session TEXT NOT NULL,
    process TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    first_row INTEGER NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (session, process, at_ns)
) STRICT;

CREATE TABLE checkpoint_moments (
    session TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    unions TEXT NOT NULL,
    PRIMARY KEY (session, at_ns)
) STRICT;

-- What is no start or stop of a stage is found without a look at all that are.
CREATE INDEX events_of_no_stage ON events (session)
WHERE kind NOT IN ('stage_started', 'stage_stopped');

-- A process's intervals in their order, though others' were added between them.
CREATE INDEX projected_intervals_by_process ON projected_intervals (session, process);

DROP INDEX projected_intervals_by_session;
