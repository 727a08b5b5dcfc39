-- A run by its trace id, as log lines and trace backends tell it.
CREATE INDEX omnitrace_runs_trace ON omnitrace_runs (trace_id);
