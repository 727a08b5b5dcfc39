-- What is kept of an hour when its rows go: of runs (category and model are empty) and of what happened in
-- them, by the hour in which the run closed.
CREATE TABLE omnitrace_hourly (
    namespace              TEXT NOT NULL,
    hour                   INTEGER NOT NULL,
    workflow_type          TEXT NOT NULL,
    category               TEXT NOT NULL,
    tenant_id              TEXT NOT NULL,
    model                  TEXT NOT NULL,
    count                  INTEGER NOT NULL,
    failed                 INTEGER NOT NULL,
    latency_ms             INTEGER NOT NULL,
    -- How many took at most so many milliseconds.
    le_10                  INTEGER NOT NULL,
    le_50                  INTEGER NOT NULL,
    le_100                 INTEGER NOT NULL,
    le_500                 INTEGER NOT NULL,
    le_1000                INTEGER NOT NULL,
    le_5000                INTEGER NOT NULL,
    le_10000               INTEGER NOT NULL,
    le_60000               INTEGER NOT NULL,
    le_600000              INTEGER NOT NULL,
    le_3600000             INTEGER NOT NULL,
    input_tokens           INTEGER NOT NULL,
    output_tokens          INTEGER NOT NULL,
    cost_usd               REAL NOT NULL,
    PRIMARY KEY (namespace, hour, workflow_type, category, tenant_id, model)
);
CREATE INDEX omnitrace_hourly_hour ON omnitrace_hourly (hour);

-- How far retention has come: runs that closed before are in the aggregates, and have no events any more.
CREATE TABLE omnitrace_retention (
    id                     INTEGER NOT NULL PRIMARY KEY,
    sealed_through         INTEGER NOT NULL,
    events_through         INTEGER NOT NULL
);
INSERT INTO omnitrace_retention (id, sealed_through, events_through) VALUES (1, 0, 0);

-- Closed runs, oldest first.
CREATE INDEX omnitrace_runs_closed ON omnitrace_runs (closed_at, namespace, workflow_id, run_id)
    WHERE phase = 2;
