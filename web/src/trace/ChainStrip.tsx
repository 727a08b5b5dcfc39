import { useQuery } from "@tanstack/react-query";
import type { Link, Trace } from "../api/client";
import { useClient } from "../api/context";
import { Menu } from "../components/Menu";
import { PageLink } from "../components/PageLink";
import { StatusBadge } from "../components/StatusBadge";
import { localTime } from "../components/format";
import { statusOf } from "../components/status";
import { chainOf, type ChainRun } from "./fns/chain";
import { retry } from "../api/useMe";
import { traceHref } from "./links";

/** Runs of the workflow id that are asked for. */
const RUNS = "50";

/** The runs before and after this one, its parent and its children: a strip that one can walk. */
export function ChainStrip({ trace }: { trace: Trace }) {
  const client = useClient();
  const { execution_id: executionId, namespace, links } = trace;
  const { parent, previous_run, next_run, children } = links;
  const several = Boolean(previous_run || next_run);
  const runs = useQuery({
    queryKey: ["chain", namespace, executionId, trace.run_id, trace.status],
    queryFn: ({ signal }) => client.executions({ workflow_id: executionId, namespace, limit: RUNS }, signal),
    enabled: several,
    retry,
  });
  if (!several && !parent && children.length === 0) return null;
  const chain = several ? chainOf(trace, runs.data?.executions ?? []) : [];
  return (
    <nav className="chain" aria-label="Runs beside this one">
      {parent && (
        <PageLink
          className="chip"
          href={traceHref({ executionId: parent.execution_id, namespace: parent.namespace, runId: parent.run_id })}
          title="u"
        >
          ↑ parent {parent.execution_id}
        </PageLink>
      )}
      {chain.length > 0 && (
        <ol>
          {chain.map((run) => (
            <li key={run.run_id}>
              <Run run={run} trace={trace} />
            </li>
          ))}
        </ol>
      )}
      {previous_run && (
        <PageLink href={compareHref(trace, previous_run)}>Compare with the run before</PageLink>
      )}
      {children.length > 0 && <Children children={children} />}
    </nav>
  );
}

function Run({ run, trace }: { run: ChainRun; trace: Trace }) {
  const here = run.run_id === trace.run_id;
  const href = traceHref({ executionId: trace.execution_id, namespace: trace.namespace, runId: run.run_id });
  return (
    <>
      {run.by && <span className="muted chain-by">{run.by} →</span>}
      <PageLink
        className="chip"
        href={href}
        aria-current={here ? "page" : undefined}
        title={`${run.run_id}${run.started_at ? `, ${localTime(run.started_at)}` : ""}`}
      >
        {run.status && <StatusBadge state={statusOf(run.status)} short />} {run.name}
      </PageLink>
    </>
  );
}

function Children({ children }: { children: Link[] }) {
  return (
    <Menu title={`↓ ${children.length} child run${children.length > 1 ? "s" : ""}`}>
      <ul className="menu-list">
        {children.map((child) => (
          <li key={child.run_id}>
            <PageLink href={traceHref({ executionId: child.execution_id, namespace: child.namespace, runId: child.run_id })}>
              <StatusBadge state={statusOf(child.status)} short /> {child.execution_id}{" "}
              <span className="muted">{child.workflow_type}</span>
            </PageLink>
          </li>
        ))}
      </ul>
    </Menu>
  );
}

export function compareHref(a: { execution_id: string; run_id: string; namespace: string }, runBefore?: string): string {
  const query = new URLSearchParams({ namespace: a.namespace });
  query.set("a", a.execution_id);
  query.set("a_run", runBefore ?? a.run_id);
  if (runBefore) {
    query.set("b", a.execution_id);
    query.set("b_run", a.run_id);
  }
  return `/compare?${query}`;
}
