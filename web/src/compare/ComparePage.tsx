import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import type { Execution } from "../api/client";
import { KeyboardHelp, type Keys } from "../components/KeyboardHelp";
import { ErrorNotice, Loading, Notice } from "../components/Notice";
import { PageLink } from "../components/PageLink";
import { StatusBadge } from "../components/StatusBadge";
import { Top } from "../components/Top";
import { ago, dollars, duration, thousands } from "../components/format";
import { moveFocus, useNow, usePageKeys, useTitle } from "../components/hooks";
import { statusOf } from "../components/status";
import { traceHref } from "../trace/links";
import { CompareTable } from "./CompareTable";
import { shownSteps } from "./fns/steps";
import { useCompare, useOthers, type CompareSearch } from "./useCompare";

const route = getRouteApi("/compare");

const KEYS: Keys = [
  [["j", "↓"], "next step"],
  [["k", "↑"], "step before"],
  [["Enter"], "open the step"],
  [["a"], "all steps, or those that differ"],
  [["s"], "swap the runs"],
  [["?"], "this list"],
];

/** Two runs of a type, what differs first. */
export function ComparePage() {
  const search: CompareSearch = route.useSearch();
  const navigate = route.useNavigate();
  const [help, setHelp] = useState(false);
  useTitle("Compare");
  const { a, b, a_run, b_run } = search;
  const all = search.steps === "all";
  const change = (more: CompareSearch) => void navigate({ search: { ...search, ...more }, replace: true });
  const swap = () => change({ a: b, a_run: b_run, b: a, b_run: a_run });
  const toggleAll = () => change({ steps: all ? undefined : "all" });
  usePageKeys((event) => {
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    if (step) moveFocus(step);
    else if (event.key === "a") toggleAll();
    else if (event.key === "s" && b) swap();
    else if (event.key === "?") setHelp(true);
    else return;
    event.preventDefault();
  });
  return (
    <div className="page">
      <Top onHelp={() => setHelp(true)}>
        <span className="muted">Compare</span>
      </Top>
      <main className="executions" id="main">
        {!a ? (
          <Notice title="No run is named">
            <p>
              The address must say which: <PageLink href="/">choose a run</PageLink>.
            </p>
          </Notice>
        ) : b ? (
          <Two search={search} all={all} onAll={toggleAll} onSwap={swap} />
        ) : (
          <Choose search={search} onChoose={(run) => change({ b: run.execution_id, b_run: run.run_id })} />
        )}
      </main>
      {help && <KeyboardHelp keys={KEYS} onClose={() => setHelp(false)} />}
    </div>
  );
}

interface TwoProps {
  search: CompareSearch;
  all: boolean;
  onAll: () => void;
  onSwap: () => void;
}

function Two({ search, all, onAll, onSwap }: TwoProps) {
  const query = useCompare(search);
  if (query.isPending) return <Loading what="both runs" />;
  if (!query.data) return <ErrorNotice error={query.error!} onRetry={() => void query.refetch()} />;
  const compared = query.data;
  const steps = shownSteps(compared, all);
  return (
    <>
      <h1 className="visually-hidden">Two runs beside each other</h1>
      <div className="compare-runs">
        <Side name="A" run={compared.a} />
        <button onClick={onSwap} title="s">
          ⇄ Swap
        </button>
        <Side name="B" run={compared.b} />
      </div>
      <p className="compare-said">
        {compared.differing === 0
          ? `All ${thousands(compared.steps.length)} steps are alike.`
          : `${thousands(compared.differing)} of ${thousands(compared.steps.length)} steps differ.`}{" "}
        <button onClick={onAll} aria-pressed={all} title="a">
          All steps
        </button>
      </p>
      {compared.a.workflow_type !== compared.b.workflow_type && (
        <p className="tone-warn">⚠ The runs are of different types: few steps will be the same.</p>
      )}
      {steps.length > 0 && <CompareTable compared={compared} steps={steps} />}
    </>
  );
}

function Side({ name, run }: { name: string; run: Execution }) {
  const tokens = run.token_usage.prompt + run.token_usage.completion;
  return (
    <section className="compare-run" aria-label={`Run ${name}`}>
      <h2>
        {name}{" "}
        <PageLink href={traceHref({ executionId: run.execution_id, runId: run.run_id, namespace: run.namespace })}>
          {run.execution_id}
        </PageLink>
      </h2>
      <p className="mono muted">{run.run_id}</p>
      <p>
        <StatusBadge state={statusOf(run.status)} />
        {run.duration_ms != null && ` · ${duration(run.duration_ms)}`} · {thousands(run.event_count)} events
        {tokens > 0 && ` · ${thousands(tokens)} tokens`}
        {run.cost_usd > 0 && ` · ${dollars(run.cost_usd)}`}
      </p>
    </section>
  );
}

function Choose({ search, onChoose }: { search: CompareSearch; onChoose: (run: Execution) => void }) {
  const query = useOthers(search);
  const now = useNow(false);
  if (query.isPending) return <Loading what="runs of the same type" />;
  if (!query.data) return <ErrorNotice error={query.error!} onRetry={() => void query.refetch()} />;
  const { run, others } = query.data;
  return (
    <section className="notice">
      <h2>
        Compare {run.execution_id} with which run of {run.workflow_type}?
      </h2>
      {others.length === 0 && <p>No other run of this type is recorded.</p>}
      <ul className="menu-list">
        {others.map((other) => (
          <li key={`${other.execution_id} ${other.run_id}`}>
            <button data-run onClick={() => onChoose(other)}>
              <StatusBadge state={statusOf(other.status)} /> {other.execution_id}{" "}
              <span className="muted">{ago(other.started_at, now)}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
