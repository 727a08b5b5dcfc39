-- What was erased, by hashes alone: of a user, a tenant or a workflow id (kind), in one namespace or in any
-- (''), of runs that started before a moment by this database's clock.
CREATE TABLE omnitrace_erasures (
    id                     TEXT    NOT NULL PRIMARY KEY,
    kind                   TEXT    NOT NULL,
    subject                TEXT    NOT NULL,
    namespace              TEXT    NOT NULL,
    erased_before          INTEGER NOT NULL,
    done_at                INTEGER,
    done_by                TEXT    NOT NULL,
    reason                 TEXT    NOT NULL,
    runs                   INTEGER NOT NULL DEFAULT 0,
    events                 INTEGER NOT NULL DEFAULT 0,
    hours                  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX omnitrace_erasures_subject ON omnitrace_erasures (subject, kind);

-- Hashes of the keys of erased runs: whatever is written of them is refused.
CREATE TABLE omnitrace_erased_runs (
    run                    TEXT    NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE INDEX omnitrace_runs_user ON omnitrace_runs (user_id, start_time)
    WHERE user_id IS NOT NULL;
