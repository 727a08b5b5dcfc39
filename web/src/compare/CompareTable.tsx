import { useState } from "react";
import type { Compared, ComparedSide, ComparedStep } from "../api/client";
import { PageLink } from "../components/PageLink";
import { StatusBadge } from "../components/StatusBadge";
import { dollars, duration, thousands } from "../components/format";
import { statusOf } from "../components/status";
import { traceHref } from "../trace/links";
import { differences, longer } from "./fns/steps";

/** Steps that are shown at once. */
const PAGE = 200;

/** Two runs, step by step. */
export function CompareTable({ compared, steps }: { compared: Compared; steps: ComparedStep[] }) {
  const [shown, setShown] = useState(PAGE);
  return (
    <>
      <table className="runs compare">
        <thead>
          <tr>
            <th scope="col">Step</th>
            <th scope="col">Differs</th>
            <th scope="col">A</th>
            <th scope="col">B</th>
            <th scope="col" className="number">B − A</th>
          </tr>
        </thead>
        <tbody>
          {steps.slice(0, shown).map((step) => (
            <Step key={step.event_key} step={step} compared={compared} />
          ))}
        </tbody>
      </table>
      {steps.length > shown && (
        <p className="runs-more">
          <button onClick={() => setShown(shown + PAGE)}>More steps ({thousands(steps.length - shown)})</button>
        </p>
      )}
    </>
  );
}

function Step({ step, compared }: { step: ComparedStep; compared: Compared }) {
  const run = step.a ? compared.a : compared.b;
  const href = traceHref({ executionId: run.execution_id, runId: run.run_id, namespace: run.namespace });
  const more = longer(step);
  return (
    <tr className={step.differs.length ? undefined : "muted"}>
      <th scope="row" className="cut" title={step.event_key}>
        <PageLink href={`${href}&${new URLSearchParams({ row: step.event_key })}`} data-run>
          {step.name}
        </PageLink>{" "}
        {step.kind !== step.name && <span className="muted">{step.kind.replaceAll("_", " ")}</span>}
      </th>
      <td>
        {differences(step).map((what) => (
          <span key={what} className="badge">
            {what}
          </span>
        ))}
      </td>
      <Side side={step.a} name="A" />
      <Side side={step.b} name="B" />
      <td className="number">{more !== undefined && more !== 0 && `${more > 0 ? "+" : "−"}${duration(Math.abs(more))}`}</td>
    </tr>
  );
}

function Side({ side, name }: { side?: ComparedSide | null; name: string }) {
  if (!side) return <td className="muted" data-side={name}>not in {name}</td>;
  const more = [
    side.duration_ms != null && duration(side.duration_ms),
    side.attempts > 1 && `${side.attempts} attempts`,
    side.tokens && `${thousands(side.tokens)} tokens`,
    side.cost_usd && dollars(side.cost_usd),
  ].filter(Boolean);
  return (
    <td data-side={name}>
      <StatusBadge state={statusOf(side.status)} /> {more.join(" · ")}{" "}
      {side.error_type && <span className="tone-bad">{side.error_type}</span>}
    </td>
  );
}
