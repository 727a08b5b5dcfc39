-- What the latest replay of a run against a worker's code found. It goes with its run.
CREATE TABLE omnitrace_replays (
    namespace              text COLLATE "C" NOT NULL,
    workflow_id            text COLLATE "C" NOT NULL,
    run_id                 text COLLATE "C" NOT NULL,
    build_id               text COLLATE "C" NOT NULL,
    checked_at             bigint           NOT NULL,
    -- passed, changed, parted, failed, gone
    verdict                text COLLATE "C" NOT NULL,
    -- Which step it parts at: its key, and the how-manieth of the run.
    event_key              text COLLATE "C",
    position               bigint,
    expected               text COLLATE "C",
    found                  text COLLATE "C",
    message                text COLLATE "C",
    PRIMARY KEY (namespace, workflow_id, run_id),
    FOREIGN KEY (namespace, workflow_id, run_id)
        REFERENCES omnitrace_runs (namespace, workflow_id, run_id) ON DELETE CASCADE
);

-- What is switched without a deploy, change by change: the newest of a name and what it is for counts.
-- Empty is any environment, type or tenant (hashed); a value of NULL takes the switch back.
CREATE TABLE omnitrace_switches (
    revision               bigint           NOT NULL PRIMARY KEY,
    name                   text COLLATE "C" NOT NULL,
    environment            text COLLATE "C" NOT NULL,
    workflow_type          text COLLATE "C" NOT NULL,
    tenant_id              text COLLATE "C" NOT NULL,
    value                  text COLLATE "C",
    set_by                 text COLLATE "C" NOT NULL,
    reason                 text COLLATE "C" NOT NULL,
    set_at                 bigint           NOT NULL
);
