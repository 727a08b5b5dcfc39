-- Tokens that open the API: the SHA-256 of each, its rights, and what it shows as JSON lists (NULL: everything).
CREATE TABLE omnitrace_tokens (
    id         TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    hash       TEXT    NOT NULL,
    rights     TEXT    NOT NULL,
    namespaces TEXT,
    tenants    TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- Lists of runs by what they are narrowed by most, each in the order in which they are shown.
CREATE INDEX omnitrace_runs_status ON omnitrace_runs (status, start_time DESC, namespace, workflow_id, run_id);
CREATE INDEX omnitrace_runs_type ON omnitrace_runs (workflow_type, start_time DESC, namespace, workflow_id, run_id);
CREATE INDEX omnitrace_runs_namespace ON omnitrace_runs (namespace, start_time DESC, workflow_id, run_id);
CREATE INDEX omnitrace_runs_tenant ON omnitrace_runs (tenant_id, start_time DESC, namespace, workflow_id, run_id)
    WHERE tenant_id IS NOT NULL;
CREATE INDEX omnitrace_runs_error ON omnitrace_runs (error_type, start_time DESC, namespace, workflow_id, run_id)
    WHERE error_type IS NOT NULL;
