import type { TraceNode } from "../../api/client";
import { CopyButton } from "../../components/CopyButton";
import { PageLink } from "../../components/PageLink";
import { clockTime, dollars, duration, thousands } from "../../components/format";
import { statusOf } from "../../components/status";
import { traceHref } from "../links";
import { Dashboards } from "./Dashboards";

/** What is known of a node beside its data. */
export function Facts({ node, dashboards }: { node: TraceNode; dashboards: Record<string, string> }) {
  const { token_usage: tokens, child_run: child } = node;
  const time = (at: string | null | undefined) => at && <time dateTime={at}>{clockTime(at)}</time>;
  const facts: [string, React.ReactNode][] = [
    ["kind", [node.kind.replaceAll("_", " "), node.category].filter(Boolean).join(", ")],
    ["scheduled", time(node.scheduled_at)],
    ["started", time(node.started_at)],
    ["ended", time(node.ended_at)],
    ["took", node.duration_ms != null && duration(node.duration_ms)],
    ["waited", node.waiting_ms != null && duration(node.waiting_ms)],
    ["model", node.model],
    ["tokens", tokens && `${thousands(tokens.prompt)} in, ${thousands(tokens.completion)} out`],
    ["cost", node.cost_usd != null && dollars(node.cost_usd)],
    [
      "child run",
      child && (
        <PageLink href={traceHref({ executionId: child.execution_id, runId: child.run_id, namespace: child.namespace })}>
          {child.execution_id} ({statusOf(child.status).word})
        </PageLink>
      ),
    ],
    ["open in", node.role === "run" && Object.keys(dashboards).length > 0 && <Dashboards pages={dashboards} />],
    [
      "key",
      node.event_key && (
        <>
          <span className="mono">{node.event_key}</span> <CopyButton text={node.event_key} what="event key" />
        </>
      ),
    ],
    ["address", <CopyLink key="address" />],
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

/** The address of the page names the row. */
const CopyLink = () => (
  <>
    of this row <CopyButton text={window.location.href} what="address of this row" />
  </>
);
