import type { Trace } from "../api/client";
import { CopyButton } from "../components/CopyButton";
import { FailureBox } from "../components/FailureBox";
import { PageLink } from "../components/PageLink";
import { StatusBadge } from "../components/StatusBadge";
import { dollars, duration, localTime, parseTime, thousands } from "../components/format";
import { isOpen, statusOf } from "../components/status";
import { ChainStrip, compareHref } from "./ChainStrip";
import { TodaysCode } from "./TodaysCode";
import { Dashboards } from "./detail/Dashboards";

interface Props {
  trace: Trace;
  now: number;
  /** Why what is shown may be old. */
  stale?: Error;
  onSelect: (id: string) => void;
}

/** What run it is, how it went, and where one can go from it. */
export function TraceHeader({ trace, now, stale, onSelect }: Props) {
  const started = parseTime(trace.started_at);
  const took = trace.duration_ms ?? (isOpen(trace.status) && started !== undefined ? now - started : undefined);
  const { token_usage: tokens, cost_usd: cost, error } = trace.root;
  return (
    <header className="trace-head">
      <div className="trace-title">
        <h1>{trace.execution_id}</h1>
        <CopyButton text={trace.execution_id} what="workflow id" />
        <span className="muted">{trace.workflow_type}</span>
        <StatusBadge state={statusOf(trace.status)} />
        {took !== undefined && <span>{duration(took)}{trace.duration_ms == null && "…"}</span>}
      </div>
      <dl className="facts">
        <Fact name="started" title={trace.started_at}>{localTime(trace.started_at)}, by {trace.trigger}</Fact>
        <Fact name="run">
          <span className="mono">{trace.run_id}</span> <CopyButton text={trace.run_id} what="run id" />
        </Fact>
        <Fact name="namespace">{trace.namespace}</Fact>
        {trace.task_queue && <Fact name="task queue">{trace.task_queue}</Fact>}
        {trace.build_id && <Fact name="build">{trace.build_id}</Fact>}
        <Fact name="trace">
          <span className="mono">{trace.trace_id}</span> <CopyButton text={trace.trace_id} what="trace id" />
        </Fact>
        {tokens && <Fact name="tokens">{thousands(tokens.prompt)} in, {thousands(tokens.completion)} out</Fact>}
        {cost != null && <Fact name="cost">{dollars(cost)}</Fact>}
        {trace.replay && (
          <Fact name="today's code">
            <TodaysCode replay={trace.replay} root={trace.root} onSelect={onSelect} />
          </Fact>
        )}
        <Fact name="also">
          <PageLink className="button" href={compareHref(trace)}>compare with another run</PageLink>
          <Dashboards pages={trace.dashboards} />
        </Fact>
      </dl>
      <ChainStrip trace={trace} />
      {error && <FailureBox error={error} />}
      <Warnings trace={trace} stale={stale} />
    </header>
  );
}

function Fact({ name, title, children }: { name: string; title?: string | null; children: React.ReactNode }) {
  return (
    <div className="fact">
      <dt>{name}</dt>
      <dd title={title ?? undefined}>{children}</dd>
    </div>
  );
}

/** What is not whole. */
function Warnings({ trace, stale }: { trace: Trace; stale?: Error }) {
  const warnings = [
    stale && `Not up to date: ${stale.message}`,
    trace.dropped_events > 0 &&
      `${thousands(trace.dropped_events)} events are not shown: they were cut by the limits of rows per run, attempts per step and events per attempt.`,
    trace.trace_backend?.available === false && `Spans of other programs are missing: ${trace.trace_backend.detail ?? ""}`,
    trace.incomplete && "The recorder lost something of this run; `omnitrace doctor` says why.",
  ].filter((text): text is string => Boolean(text));
  return warnings.map((text) => (
    <p key={text} className="tone-warn" role="status">
      ⚠ {text}
    </p>
  ));
}
