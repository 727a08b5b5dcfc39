import type { Execution } from "../api/client";
import { PageLink } from "../components/PageLink";
import { download, toCsv } from "../components/files";
import { compareTwo } from "./fns/choice";

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

interface Props {
  runs: Execution[];
  chosen: Execution[];
  onClear: () => void;
}

/** What can be done with the runs of the list. */
export function ListTools({ runs, chosen, onClear }: Props) {
  const csv = () =>
    toCsv(
      [...COLUMNS, "error_type", "error_message"],
      runs.map((run) => [...COLUMNS.map((name) => run[name]), run.error?.type, run.error?.message]),
    );
  return (
    <div className="list-tools">
      {chosen.length === 2 ? (
        <PageLink className="button" href={compareTwo(chosen)} title="c">
          Compare the two chosen runs
        </PageLink>
      ) : (
        <span className="muted">
          {chosen.length === 1 ? "Choose one more run to compare both." : "Choose two runs to compare them."}
        </span>
      )}
      {chosen.length > 0 && <button onClick={onClear}>Choose none</button>}
      <span className="list-files">
        These runs as <button onClick={() => download("runs.json", JSON.stringify(runs, null, 2), "application/json")}>JSON</button>{" "}
        <button onClick={() => download("runs.csv", csv(), "text/csv")}>CSV</button>
      </span>
    </div>
  );
}
