-- Times are UTC microseconds: to_timestamp(started_at / 1e6). Text is compared byte by byte, as SQLite
-- does, so that both databases merge and sort alike. No key comes from a sequence and none refers to
-- another table: a server may spread the rows by workflow. (phase, source, start_time, digest) decides
-- which version of a row stays.

CREATE TABLE omnitrace_runs (
    namespace              text COLLATE "C" NOT NULL,
    workflow_id            text COLLATE "C" NOT NULL,
    run_id                 text COLLATE "C" NOT NULL,
    workflow_type          text COLLATE "C" NOT NULL,
    task_queue             text COLLATE "C" NOT NULL,
    trace_id               text COLLATE "C" NOT NULL,
    span_id                text COLLATE "C" NOT NULL,
    parent_span_id         text COLLATE "C",
    status                 text COLLATE "C" NOT NULL,
    started_at             bigint,
    closed_at              bigint,
    input_redacted         text COLLATE "C",
    output_redacted        text COLLATE "C",
    error_type             text COLLATE "C",
    error_message          text COLLATE "C",
    attempt                bigint           NOT NULL,
    max_attempts           bigint,
    first_execution_run_id text COLLATE "C",
    continued_from_run_id  text COLLATE "C",
    parent_namespace       text COLLATE "C",
    parent_workflow_id     text COLLATE "C",
    parent_run_id          text COLLATE "C",
    root_workflow_id       text COLLATE "C",
    root_run_id            text COLLATE "C",
    trigger                text COLLATE "C" NOT NULL,
    build_id               text COLLATE "C",
    sampled_by             text COLLATE "C" NOT NULL,
    phase                  smallint         NOT NULL,
    source                 smallint         NOT NULL,
    start_time             bigint           NOT NULL,
    digest                 bigint           NOT NULL,
    policy_id              text COLLATE "C" NOT NULL,
    -- Merged apart from the rest of the row.
    user_id                text COLLATE "C",
    user_rank              smallint,
    tenant_id              text COLLATE "C",
    tenant_rank            smallint,
    accepted_through       bigint           NOT NULL,
    steps_seen             bigint           NOT NULL,
    incomplete             boolean          NOT NULL,
    -- Derived from the run's events and cuts, in the transaction that changes them.
    event_count            bigint           NOT NULL DEFAULT 0,
    dropped_events         bigint           NOT NULL DEFAULT 0,
    input_tokens           bigint           NOT NULL DEFAULT 0,
    output_tokens          bigint           NOT NULL DEFAULT 0,
    cost_usd               double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (namespace, workflow_id, run_id)
);

CREATE INDEX omnitrace_runs_newest ON omnitrace_runs (start_time DESC, namespace, workflow_id, run_id);
CREATE INDEX omnitrace_runs_workflow_id ON omnitrace_runs (workflow_id, start_time DESC);
CREATE INDEX omnitrace_runs_run_id ON omnitrace_runs (run_id);
CREATE INDEX omnitrace_runs_parent ON omnitrace_runs (parent_namespace, parent_workflow_id, parent_run_id)
    WHERE parent_workflow_id IS NOT NULL;

CREATE TABLE omnitrace_events (
    namespace              text COLLATE "C" NOT NULL,
    workflow_id            text COLLATE "C" NOT NULL,
    run_id                 text COLLATE "C" NOT NULL,
    event_key              text COLLATE "C" NOT NULL,
    kind                   text COLLATE "C" NOT NULL,
    category               text COLLATE "C",
    step                   text COLLATE "C" NOT NULL,
    name                   text COLLATE "C" NOT NULL,
    attempt                bigint           NOT NULL,
    status                 text COLLATE "C" NOT NULL,
    scheduled_at           bigint,
    started_at             bigint,
    ended_at               bigint,
    latency_ms             bigint,
    data_redacted          text COLLATE "C",
    error_type             text COLLATE "C",
    error_message          text COLLATE "C",
    span_id                text COLLATE "C" NOT NULL,
    parent_key             text COLLATE "C",
    model                  text COLLATE "C",
    input_tokens           bigint,
    output_tokens          bigint,
    cost_usd               double precision,
    phase                  smallint         NOT NULL,
    source                 smallint         NOT NULL,
    start_time             bigint           NOT NULL,
    digest                 bigint           NOT NULL,
    policy_id              text COLLATE "C" NOT NULL,
    PRIMARY KEY (namespace, workflow_id, run_id, event_key)
);

-- High water marks of what is not stored. Scopes: attempts:<step>, inner:<step>:<attempt>,
-- process:<id>, and cap, which stands while the run has had more rows than are kept.
CREATE TABLE omnitrace_cuts (
    namespace              text COLLATE "C" NOT NULL,
    workflow_id            text COLLATE "C" NOT NULL,
    run_id                 text COLLATE "C" NOT NULL,
    scope                  text COLLATE "C" NOT NULL,
    count                  bigint           NOT NULL,
    PRIMARY KEY (namespace, workflow_id, run_id, scope)
);

-- Runs that the sampling rate left out and that are recorded after all.
CREATE TABLE omnitrace_promotions (
    namespace              text COLLATE "C" NOT NULL,
    workflow_id            text COLLATE "C" NOT NULL,
    run_id                 text COLLATE "C" NOT NULL,
    reason                 text COLLATE "C" NOT NULL,
    at                     bigint           NOT NULL,
    PRIMARY KEY (namespace, workflow_id, run_id)
);

CREATE INDEX omnitrace_promotions_at ON omnitrace_promotions (at);

-- What the recording processes say of themselves; counters is a JSON object.
CREATE TABLE omnitrace_processes (
    id                     text COLLATE "C" NOT NULL PRIMARY KEY,
    service                text COLLATE "C" NOT NULL,
    host                   text COLLATE "C" NOT NULL,
    pid                    bigint           NOT NULL,
    version                text COLLATE "C" NOT NULL,
    started_at             bigint           NOT NULL,
    updated_at             bigint           NOT NULL,
    counters               text COLLATE "C" NOT NULL
);
