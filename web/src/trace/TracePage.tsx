import { getRouteApi } from "@tanstack/react-router";
import { useCallback, useState } from "react";
import { KeyboardHelp } from "../components/KeyboardHelp";
import { Notice } from "../components/Notice";
import { PageLink } from "../components/PageLink";
import { Top } from "../components/Top";
import { usePageKeys, useTitle } from "../components/hooks";
import { WorkflowTrace } from "./WorkflowTrace";
import type { View } from "./fns/view";
import { TRACE_KEYS } from "./hooks/useTraceKeys";

const route = getRouteApi("/trace");

/** A run, named in the address, its row that is shown, and how. */
export function TracePage() {
  const { id, run, namespace, row, ...view } = route.useSearch();
  const navigate = route.useNavigate();
  const [help, setHelp] = useState(false);
  useTitle(id);
  usePageKeys((event) => event.key === "?" && setHelp(true));
  const change = useCallback(
    (more: View & { row?: string }) => void navigate({ search: (before) => ({ ...before, ...more }), replace: true }),
    [navigate],
  );
  const select = useCallback((row: string | undefined) => change({ row }), [change]);
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
            view={view}
            onView={change}
          />
        ) : (
          <Notice title="No run is named">
            <p>
              The address must say which: <PageLink href="/">choose a run</PageLink>.
            </p>
          </Notice>
        )}
      </main>
      {help && <KeyboardHelp keys={TRACE_KEYS} onClose={() => setHelp(false)} />}
    </div>
  );
}
