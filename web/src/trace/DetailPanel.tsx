import type { TraceNode } from "../api/client";
import { CopyButton } from "../components/CopyButton";
import { FailureBox } from "../components/FailureBox";
import { ErrorNotice } from "../components/Notice";
import { StatusBadge } from "../components/StatusBadge";
import { clockTime, dollars, duration, thousands } from "../components/format";
import { isOpen, stateOf, statusOf } from "../components/status";
import { partsOf, pieces } from "./fns/json";
import { attemptsOf } from "./fns/rows";
import { useNodeDetail, type TraceId } from "./hooks/useWorkflowTrace";
import { traceHref } from "./links";

interface Props {
  id: TraceId;
  node: TraceNode;
  onClose: () => void;
}

/** All that is known of one node. */
export function DetailPanel({ id, node, onClose }: Props) {
  // Asked for anew when the node changed.
  const version = `${node.status} ${node.ended_at ?? ""} ${node.children.length}`;
  const detail = useNodeDetail(id, node.event_key, version);
  const attempts = attemptsOf(node);
  return (
    <aside className="panel" aria-label={`Details of ${node.name}`}>
      <div className="panel-head">
        <div>
          <h2>{node.name}</h2>
          <StatusBadge state={stateOf(node)} />
          {node.reported_status && <span className="muted"> (its worker said {statusOf(node.reported_status).word})</span>}
        </div>
        <button className="panel-close" onClick={onClose} aria-label="Close the details">
          ✕
        </button>
      </div>
      {node.error ? <FailureBox error={node.error} /> : node.hint && <p className="muted">Hint: {node.hint}</p>}
      <Facts node={node} />
      {attempts.length > 1 && <Attempts attempts={attempts} />}
      {detail.error && <ErrorNotice error={detail.error} onRetry={() => void detail.refetch()} />}
      {detail.isPending && <p className="muted" role="status">Loading what was recorded …</p>}
      {detail.data && <Recorded node={detail.data} only={attempts.length === 1 ? attempts[0] : undefined} id={id} />}
    </aside>
  );
}

function Facts({ node }: { node: TraceNode }) {
  const { token_usage: tokens, child_run: child } = node;
  const facts: [string, React.ReactNode][] = [
    ["kind", [node.kind.replaceAll("_", " "), node.category].filter(Boolean).join(", ")],
    ["scheduled", node.scheduled_at && <time dateTime={node.scheduled_at}>{clockTime(node.scheduled_at)}</time>],
    ["started", node.started_at && <time dateTime={node.started_at}>{clockTime(node.started_at)}</time>],
    ["ended", node.ended_at && <time dateTime={node.ended_at}>{clockTime(node.ended_at)}</time>],
    ["took", node.duration_ms != null && duration(node.duration_ms)],
    ["waited", node.waiting_ms != null && duration(node.waiting_ms)],
    ["model", node.model],
    ["tokens", tokens && `${thousands(tokens.prompt)} in, ${thousands(tokens.completion)} out`],
    ["cost", node.cost_usd != null && dollars(node.cost_usd)],
    [
      "child run",
      child && (
        <a href={traceHref({ executionId: child.execution_id, runId: child.run_id, namespace: child.namespace })}>
          {child.execution_id} ({statusOf(child.status).word})
        </a>
      ),
    ],
    [
      "key",
      node.event_key && (
        <>
          <span className="mono">{node.event_key}</span> <CopyButton text={node.event_key} what="event key" />
        </>
      ),
    ],
  ];
  return (
    <dl className="facts">
      {facts
        .filter(([, value]) => value)
        .map(([name, value]) => (
          <div key={name} className="fact">
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
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

/** The recorded data: of a step that one attempt stands for, also what the attempt's worker knew. */
function Recorded({ node, only, id }: { node: TraceNode; only: TraceNode | undefined; id: TraceId }) {
  const parts = partsOf(node.data);
  return (
    <>
      <Content title="Prompts" values={node.prompts} />
      <Content title="Responses" values={node.responses} />
      {node.artifacts.length > 0 && (
        <section>
          <h3>Artifacts</h3>
          {node.artifacts.map(({ name, url }) => (
            <div key={name + url}>
              {/^https?:\/\//.test(url) ? (
                <a href={url} target="_blank" rel="noreferrer">{name} ↗</a>
              ) : (
                <>{name} <span className="mono">{url}</span></>
              )}
            </div>
          ))}
        </section>
      )}
      {parts
        // What a model was asked and said is told above.
        .filter(([title]) => !(title === "Input" && node.prompts.length) && !(title === "Output" && node.responses.length))
        .map(([title, value]) => <Data key={title} title={title} value={value} />)}
      <RedactionNotice node={node} />
      {parts.length === 0 && !only && <p className="muted">No data is recorded of it.</p>}
      {only && <AttemptData id={id} attempt={only} empty={parts.length === 0} />}
    </>
  );
}

function AttemptData({ id, attempt, empty }: { id: TraceId; attempt: TraceNode; empty: boolean }) {
  const detail = useNodeDetail(id, attempt.event_key, `${attempt.status} ${attempt.ended_at ?? ""}`);
  // Its output is the step's.
  const parts = partsOf(detail.data?.data).filter(([title]) => empty || title === "Attributes" || title === "Stack");
  if (detail.data && empty && parts.length === 0) return <p className="muted">No data is recorded of it.</p>;
  return parts.map(([title, value]) => <Data key={title} title={`${title} of the attempt`} value={value} />);
}

function Content({ title, values }: { title: string; values: unknown[] }) {
  return values.length > 0 && <Data title={title} value={values.length === 1 ? values[0] : values} />;
}

function Data({ title, value }: { title: string; value: unknown }) {
  const all = pieces(value);
  return (
    <section>
      <h3>
        {title} <CopyButton text={all.map((piece) => piece.text).join("")} what={title.toLowerCase()} />
      </h3>
      <pre className="json" tabIndex={0} role="region" aria-label={title}>
        {all.map((piece, at) => (piece.hash ? <span key={at} className="json-hash">{piece.text}</span> : piece.text))}
      </pre>
    </section>
  );
}

function RedactionNotice({ node }: { node: TraceNode }) {
  const { dropped = 0, hashed = 0, truncated = 0 } = node.redaction ?? {};
  const done = [dropped && `${dropped} dropped`, hashed && `${hashed} hashed`, truncated && `${truncated} cut`].filter(Boolean);
  return done.length > 0 && <p className="muted">Redacted before it was stored: {done.join(", ")}.</p>;
}
