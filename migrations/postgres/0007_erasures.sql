-- What was erased, by hashes alone: of a user, a tenant or a workflow id (kind), in one namespace or in any
-- (''), of runs that started before a moment by this database's clock.
CREATE TABLE omnitrace_erasures (
    id                     text COLLATE "C" NOT NULL PRIMARY KEY,
    kind                   text COLLATE "C" NOT NULL,
    subject                text COLLATE "C" NOT NULL,
    namespace              text COLLATE "C" NOT NULL,
    erased_before          bigint           NOT NULL,
    done_at                bigint,
    done_by                text COLLATE "C" NOT NULL,
    reason                 text COLLATE "C" NOT NULL,
    runs                   bigint           NOT NULL DEFAULT 0,
    events                 bigint           NOT NULL DEFAULT 0,
    hours                  bigint           NOT NULL DEFAULT 0
);
CREATE INDEX omnitrace_erasures_subject ON omnitrace_erasures (subject, kind);

-- Hashes of the keys of erased runs: whatever is written of them is refused.
CREATE TABLE omnitrace_erased_runs (
    run                    text COLLATE "C" NOT NULL PRIMARY KEY
);

CREATE INDEX omnitrace_runs_user ON omnitrace_runs (user_id, start_time)
    WHERE user_id IS NOT NULL;
