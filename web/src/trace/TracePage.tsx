import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { KeyboardHelp } from "../components/KeyboardHelp";
import { Notice } from "../components/Notice";
import { Top } from "../components/Top";
import { usePageKeys } from "../components/hooks";
import { WorkflowTrace } from "./WorkflowTrace";
import { TRACE_KEYS } from "./hooks/useTraceKeys";

const route = getRouteApi("/trace");

/** A run, named in the address, and its row that is shown. */
export function TracePage() {
  const { id, run, namespace, row } = route.useSearch();
  const navigate = route.useNavigate();
  const [help, setHelp] = useState(false);
  usePageKeys((event) => event.key === "?" && setHelp(true));
  const select = (row: string | undefined) =>
    void navigate({ search: (before) => ({ ...before, row }), replace: true });
  return (
    <div className="page">
      <Top onHelp={() => setHelp(true)}>
        <span className="muted cut">{id}</span>
      </Top>
      <main className="main" id="main">
        {id ? (
          <WorkflowTrace
            key={`${namespace} ${id} ${run}`}
            executionId={id}
            runId={run}
            namespace={namespace}
            selected={row}
            onSelect={select}
          />
        ) : (
          <Notice title="No run is named">
            <p>
              The address must say which: <a href="/">choose a run</a>.
            </p>
          </Notice>
        )}
      </main>
      {help && <KeyboardHelp keys={TRACE_KEYS} onClose={() => setHelp(false)} />}
    </div>
  );
}
