-- Spans: until when the process that closed a row has it to itself, by this database's clock (NULL: there
-- is nothing to send), and when a collector acknowledged it.
ALTER TABLE omnitrace_runs ADD COLUMN export_due bigint;
ALTER TABLE omnitrace_runs ADD COLUMN exported_at bigint;
ALTER TABLE omnitrace_events ADD COLUMN export_due bigint;
ALTER TABLE omnitrace_events ADD COLUMN exported_at bigint;

CREATE INDEX omnitrace_runs_export ON omnitrace_runs (export_due) WHERE export_due IS NOT NULL;
CREATE INDEX omnitrace_events_export ON omnitrace_events (export_due) WHERE export_due IS NOT NULL;
