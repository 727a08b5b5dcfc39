import type { Execution } from "../api/client";
import { PageLink } from "../components/PageLink";
import { StatusBadge } from "../components/StatusBadge";
import { ago, dollars, duration, localTime, parseTime, thousands } from "../components/format";
import { isOpen, statusOf } from "../components/status";
import { traceHref } from "../trace/links";
import { chose, isChosen } from "./fns/choice";

interface Props {
  runs: Execution[];
  now: number;
  /** Those that are to be compared. */
  chosen: Execution[];
  onChoose: (chosen: Execution[]) => void;
}

/** Runs, newest first. */
export function ExecutionsTable({ runs, now, chosen, onChoose }: Props) {
  return (
    <table className="runs">
      <thead>
        <tr>
          <th scope="col" className="choice">
            <span className="visually-hidden">Compare</span>
          </th>
          <th scope="col">Status</th>
          <th scope="col">Workflow id</th>
          <th scope="col">Type</th>
          <th scope="col">Started</th>
          <th scope="col" className="number">Took</th>
          <th scope="col" className="number">Events</th>
          <th scope="col" className="number">Tokens</th>
          <th scope="col" className="number">Cost</th>
          <th scope="col">Error</th>
        </tr>
      </thead>
      <tbody>
        {runs.map((run) => (
          <RunRow
            key={`${run.namespace} ${run.execution_id} ${run.run_id}`}
            run={run}
            now={now}
            chosen={isChosen(chosen, run)}
            onChoose={() => onChoose(chose(chosen, run))}
          />
        ))}
      </tbody>
    </table>
  );
}

function RunRow({ run, now, chosen, onChoose }: { run: Execution; now: number; chosen: boolean; onChoose: () => void }) {
  const href = traceHref({ executionId: run.execution_id, runId: run.run_id, namespace: run.namespace });
  const tokens = run.token_usage.prompt + run.token_usage.completion;
  const more = run.dropped_events > 0 || run.incomplete;
  const error = run.error && [run.error.type, run.error.message].filter(Boolean).join(": ");
  return (
    <tr>
      <td className="choice">
        <input type="checkbox" aria-label={`Compare ${run.execution_id}`} checked={chosen} onChange={onChoose} />
      </td>
      <td>
        <StatusBadge state={statusOf(run.status)} />
      </td>
      <td className="run-id cut" title={run.execution_id}>
        <PageLink href={href} data-run>{run.execution_id}</PageLink>
      </td>
      <td className="wide-only">{run.workflow_type}</td>
      <td className="muted" title={localTime(run.started_at)}>
        {ago(run.started_at, now)}
      </td>
      <td className="number">{took(run, now)}</td>
      <td className="number wide-only" title={more ? "More happened than is stored" : undefined}>
        {thousands(run.event_count)}
        {more && "+"}
      </td>
      <td className="number wide-only">{tokens > 0 && thousands(tokens)}</td>
      <td className="number wide-only">{run.cost_usd > 0 && dollars(run.cost_usd)}</td>
      <td className="run-error cut tone-bad" title={error ?? undefined}>
        {error}
      </td>
    </tr>
  );
}

function took(run: Execution, now: number): string {
  if (run.duration_ms != null) return duration(run.duration_ms);
  const started = parseTime(run.started_at);
  return isOpen(run.status) && started !== undefined ? `${duration(now - started)}…` : "–";
}
