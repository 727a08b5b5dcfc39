import type { Execution } from "../api/client";
import { download, toCsv } from "../components/files";

const COLUMNS = [
  "namespace",
  "execution_id",
  "run_id",
  "workflow_type",
  "status",
  "started_at",
  "ended_at",
  "duration_ms",
  "event_count",
  "cost_usd",
  "trace_id",
] as const;

/** What can be done with the runs of the list. */
export function ListTools({ runs }: { runs: Execution[] }) {
  const csv = () =>
    toCsv(
      [...COLUMNS, "error_type", "error_message"],
      runs.map((run) => [...COLUMNS.map((name) => run[name]), run.error?.type, run.error?.message]),
    );
  return (
    <div className="list-tools">
      <span className="list-files">
        These runs as <button onClick={() => download("runs.json", JSON.stringify(runs, null, 2), "application/json")}>JSON</button>{" "}
        <button onClick={() => download("runs.csv", csv(), "text/csv")}>CSV</button>
      </span>
    </div>
  );
}
