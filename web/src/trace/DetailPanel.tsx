import type { TraceNode } from "../api/client";
import { FailureBox } from "../components/FailureBox";
import { ErrorNotice } from "../components/Notice";
import { StatusBadge } from "../components/StatusBadge";
import { duration } from "../components/format";
import { isOpen, stateOf, statusOf } from "../components/status";
import { Facts } from "./detail/Facts";
import { Recorded } from "./detail/Recorded";
import { UsageChart } from "./detail/UsageChart";
import { attemptsOf, titleOf } from "./fns/rows";
import { useNodeDetail, type TraceId } from "./hooks/useWorkflowTrace";

interface Props {
  id: TraceId;
  node: TraceNode;
  dashboards: Record<string, string>;
  /** The node is shown as it was at a moment. */
  replayed: boolean;
  onClose: () => void;
}

/** All that is known of one node. */
export function DetailPanel({ id, node, dashboards, replayed, onClose }: Props) {
  // Asked for anew when the node changed; what is recorded of a replayed one is what it came to.
  const version = replayed ? "replayed" : `${node.status} ${node.ended_at ?? ""} ${node.children.length}`;
  const detail = useNodeDetail(id, node.event_key, version);
  const attempts = attemptsOf(node);
  return (
    <aside className="panel" aria-label={`Details of ${titleOf(node)}`}>
      <div className="panel-head">
        <div>
          <h2>{titleOf(node)}</h2>
          <StatusBadge state={stateOf(node)} />
          {node.reported_status && <span className="muted"> (its worker said {statusOf(node.reported_status).word})</span>}
        </div>
        <button className="panel-close" onClick={onClose} aria-label="Close the details">
          ✕
        </button>
      </div>
      {node.error ? <FailureBox error={node.error} /> : node.hint && <p className="muted">Hint: {node.hint}</p>}
      <Facts node={node} dashboards={dashboards} />
      {attempts.length > 1 && <Attempts attempts={attempts} />}
      <UsageChart node={node} />
      {detail.error && <ErrorNotice error={detail.error} onRetry={() => void detail.refetch()} />}
      {detail.isPending && <p className="muted" role="status">Loading what was recorded …</p>}
      {detail.data && (
        <Recorded
          node={detail.data.node}
          withheld={detail.data.withheld}
          only={attempts.length === 1 ? attempts[0] : undefined}
          id={id}
          open={replayed && isOpen(node.status)}
        />
      )}
    </aside>
  );
}

function Attempts({ attempts }: { attempts: TraceNode[] }) {
  return (
    <section>
      <h3>Attempts</h3>
      <ol className="attempts">
        {attempts.map((attempt) => (
          <li key={attempt.event_key}>
            <StatusBadge state={stateOf(attempt)} /> <span className="muted">attempt {attempt.attempt}</span>
            {attempt.duration_ms != null && !isOpen(attempt.status) && ` · ${duration(attempt.duration_ms)}`}
            {attempt.error && (
              <div>
                <span className="failure-type">{attempt.error.type ?? "Error"}</span>
                {attempt.error.message && `: ${attempt.error.message}`}
              </div>
            )}
          </li>
        ))}
      </ol>
    </section>
  );
}
