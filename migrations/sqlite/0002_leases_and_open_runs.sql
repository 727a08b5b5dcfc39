-- Who may do what is done once per namespace, until when by this database's clock.
CREATE TABLE omnitrace_leases (
    namespace  TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    holder     TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;

-- Runs to be compared with Temporal's history, oldest first.
CREATE INDEX omnitrace_runs_open ON omnitrace_runs (namespace, start_time, workflow_id, run_id)
    WHERE phase < 2 OR incomplete;

-- Why the database last refused the rows of a process.
ALTER TABLE omnitrace_processes ADD COLUMN last_error TEXT;
ALTER TABLE omnitrace_processes ADD COLUMN last_error_at INTEGER;
