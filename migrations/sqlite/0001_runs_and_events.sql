-- Times are UTC microseconds. (phase, source, start_time, digest) decides which version of a row stays.

CREATE TABLE omnitrace_runs (
    namespace              TEXT    NOT NULL,
    workflow_id            TEXT    NOT NULL,
    run_id                 TEXT    NOT NULL,
    workflow_type          TEXT    NOT NULL,
    task_queue             TEXT    NOT NULL,
    trace_id               TEXT    NOT NULL,
    span_id                TEXT    NOT NULL,
    parent_span_id         TEXT,
    status                 TEXT    NOT NULL,
    started_at             INTEGER,
    closed_at              INTEGER,
    input_redacted         TEXT,
    output_redacted        TEXT,
    error_type             TEXT,
    error_message          TEXT,
    attempt                INTEGER NOT NULL,
    max_attempts           INTEGER,
    first_execution_run_id TEXT,
    continued_from_run_id  TEXT,
    parent_namespace       TEXT,
    parent_workflow_id     TEXT,
    parent_run_id          TEXT,
    root_workflow_id       TEXT,
    root_run_id            TEXT,
    trigger                TEXT    NOT NULL,
    build_id               TEXT,
    sampled_by             TEXT    NOT NULL,
    phase                  INTEGER NOT NULL,
    source                 INTEGER NOT NULL,
    start_time             INTEGER NOT NULL,
    digest                 INTEGER NOT NULL,
    policy_id              TEXT    NOT NULL,
    -- Merged apart from the rest of the row.
    user_id                TEXT,
    user_rank              INTEGER,
    tenant_id              TEXT,
    tenant_rank            INTEGER,
    accepted_through       INTEGER NOT NULL,
    steps_seen             INTEGER NOT NULL,
    incomplete             INTEGER NOT NULL,
    -- Derived from the run's events and cuts, in the transaction that changes them.
    event_count            INTEGER NOT NULL DEFAULT 0,
    dropped_events         INTEGER NOT NULL DEFAULT 0,
    input_tokens           INTEGER NOT NULL DEFAULT 0,
    output_tokens          INTEGER NOT NULL DEFAULT 0,
    cost_usd               REAL    NOT NULL DEFAULT 0,
    PRIMARY KEY (namespace, workflow_id, run_id)
) STRICT;

CREATE INDEX omnitrace_runs_newest ON omnitrace_runs (start_time DESC, namespace, workflow_id, run_id);
CREATE INDEX omnitrace_runs_workflow_id ON omnitrace_runs (workflow_id, start_time DESC);
CREATE INDEX omnitrace_runs_run_id ON omnitrace_runs (run_id);
CREATE INDEX omnitrace_runs_parent ON omnitrace_runs (parent_namespace, parent_workflow_id, parent_run_id)
    WHERE parent_workflow_id IS NOT NULL;

CREATE TABLE omnitrace_events (
    namespace     TEXT    NOT NULL,
    workflow_id   TEXT    NOT NULL,
    run_id        TEXT    NOT NULL,
    event_key     TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    category      TEXT,
    step          TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    attempt       INTEGER NOT NULL,
    status        TEXT    NOT NULL,
    scheduled_at  INTEGER,
    started_at    INTEGER,
    ended_at      INTEGER,
    latency_ms    INTEGER,
    data_redacted TEXT,
    error_type    TEXT,
    error_message TEXT,
    span_id       TEXT    NOT NULL,
    parent_key    TEXT,
    model         TEXT,
    input_tokens  INTEGER,
    output_tokens INTEGER,
    cost_usd      REAL,
    phase         INTEGER NOT NULL,
    source        INTEGER NOT NULL,
    start_time    INTEGER NOT NULL,
    digest        INTEGER NOT NULL,
    policy_id     TEXT    NOT NULL,
    PRIMARY KEY (namespace, workflow_id, run_id, event_key)
) STRICT;

-- High water marks of what is not stored. Scopes: attempts:<step>, inner:<step>:<attempt>,
-- process:<id>, and cap, which stands while the run has had more rows than are kept.
CREATE TABLE omnitrace_cuts (
    namespace   TEXT    NOT NULL,
    workflow_id TEXT    NOT NULL,
    run_id      TEXT    NOT NULL,
    scope       TEXT    NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (namespace, workflow_id, run_id, scope)
) STRICT, WITHOUT ROWID;

-- Runs that the sampling rate left out and that are recorded after all.
CREATE TABLE omnitrace_promotions (
    namespace   TEXT    NOT NULL,
    workflow_id TEXT    NOT NULL,
    run_id      TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (namespace, workflow_id, run_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX omnitrace_promotions_at ON omnitrace_promotions (at);

-- What the recording processes say of themselves; counters is a JSON object.
CREATE TABLE omnitrace_processes (
    id         TEXT    NOT NULL PRIMARY KEY,
    service    TEXT    NOT NULL,
    host       TEXT    NOT NULL,
    pid        INTEGER NOT NULL,
    version    TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    counters   TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
