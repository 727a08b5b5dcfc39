-- What is kept of an hour when its rows go: of runs (category and model are empty) and of what happened in
-- them, by the hour in which the run closed.
CREATE TABLE omnitrace_hourly (
    namespace              text COLLATE "C" NOT NULL,
    hour                   bigint           NOT NULL,
    workflow_type          text COLLATE "C" NOT NULL,
    category               text COLLATE "C" NOT NULL,
    tenant_id              text COLLATE "C" NOT NULL,
    model                  text COLLATE "C" NOT NULL,
    count                  bigint           NOT NULL,
    failed                 bigint           NOT NULL,
    latency_ms             bigint           NOT NULL,
    -- How many took at most so many milliseconds.
    le_10                  bigint           NOT NULL,
    le_50                  bigint           NOT NULL,
    le_100                 bigint           NOT NULL,
    le_500                 bigint           NOT NULL,
    le_1000                bigint           NOT NULL,
    le_5000                bigint           NOT NULL,
    le_10000               bigint           NOT NULL,
    le_60000               bigint           NOT NULL,
    le_600000              bigint           NOT NULL,
    le_3600000             bigint           NOT NULL,
    input_tokens           bigint           NOT NULL,
    output_tokens          bigint           NOT NULL,
    cost_usd               double precision NOT NULL,
    PRIMARY KEY (namespace, hour, workflow_type, category, tenant_id, model)
);
CREATE INDEX omnitrace_hourly_hour ON omnitrace_hourly (hour);

-- How far retention has come: runs that closed before are in the aggregates, and have no events any more.
CREATE TABLE omnitrace_retention (
    id                     smallint         NOT NULL PRIMARY KEY,
    sealed_through         bigint           NOT NULL,
    events_through         bigint           NOT NULL
);
INSERT INTO omnitrace_retention (id, sealed_through, events_through) VALUES (1, 0, 0);

-- Closed runs, oldest first.
CREATE INDEX omnitrace_runs_closed ON omnitrace_runs (closed_at, namespace, workflow_id, run_id)
    WHERE phase = 2;
