-- What the latest replay of a run against a worker's code found. It goes with its run.
CREATE TABLE omnitrace_replays (
    namespace              TEXT NOT NULL,
    workflow_id            TEXT NOT NULL,
    run_id                 TEXT NOT NULL,
    build_id               TEXT NOT NULL,
    checked_at             INTEGER NOT NULL,
    -- passed, changed, parted, failed, gone
    verdict                TEXT NOT NULL,
    -- Which step it parts at: its key, and the how-manieth of the run.
    event_key              TEXT,
    position               INTEGER,
    expected               TEXT,
    found                  TEXT,
    message                TEXT,
    PRIMARY KEY (namespace, workflow_id, run_id),
    FOREIGN KEY (namespace, workflow_id, run_id)
        REFERENCES omnitrace_runs (namespace, workflow_id, run_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What is switched without a deploy, change by change: the newest of a name and what it is for counts.
-- Empty is any environment, type or tenant (hashed); a value of NULL takes the switch back.
CREATE TABLE omnitrace_switches (
    revision               INTEGER NOT NULL PRIMARY KEY,
    name                   TEXT NOT NULL,
    environment            TEXT NOT NULL,
    workflow_type          TEXT NOT NULL,
    tenant_id              TEXT NOT NULL,
    value                  TEXT,
    set_by                 TEXT NOT NULL,
    reason                 TEXT NOT NULL,
    set_at                 INTEGER NOT NULL
) STRICT;
