-- Who may do what is done once per namespace, until when by this database's clock.
CREATE TABLE omnitrace_leases (
    namespace              text COLLATE "C" NOT NULL,
    name                   text COLLATE "C" NOT NULL,
    holder                 text COLLATE "C" NOT NULL,
    expires_at             bigint           NOT NULL,
    PRIMARY KEY (namespace, name)
);

-- Runs to be compared with Temporal's history, oldest first.
CREATE INDEX omnitrace_runs_open ON omnitrace_runs (namespace, start_time, workflow_id, run_id)
    WHERE phase < 2 OR incomplete;

-- Why the database last refused the rows of a process.
ALTER TABLE omnitrace_processes ADD COLUMN last_error text COLLATE "C";
ALTER TABLE omnitrace_processes ADD COLUMN last_error_at bigint;
