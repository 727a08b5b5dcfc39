import { ErrorNotice, Loading } from "../components/Notice";
import { LoadedTrace } from "./LoadedTrace";
import { useView, type ChangeView } from "./hooks/useView";
import { useWorkflowTrace, type TraceId } from "./hooks/useWorkflowTrace";
import { useState } from "react";
import type { View } from "./fns/view";

export interface WorkflowTraceProps extends TraceId {
  /** Row whose details are shown; kept here unless the caller keeps it. */
  selected?: string;
  onSelect?: (id: string | undefined) => void;
  /** Search, filters and the moment of the replay; kept here unless the caller keeps them. */
  view?: View;
  onView?: ChangeView;
}

/** One run: its tree beside its time. */
export function WorkflowTrace({ executionId, runId, namespace, ...given }: WorkflowTraceProps) {
  const query = useWorkflowTrace({ executionId, runId, namespace });
  const [own, setOwn] = useState<string>();
  const [view, change] = useView(given.view, given.onView);
  if (query.isPending) return <Loading what="the trace" />;
  if (!query.data) return <ErrorNotice error={query.error!} onRetry={() => void query.refetch()} />;
  return (
    <LoadedTrace
      trace={query.data}
      stale={query.error ?? undefined}
      streams={query.streams}
      selected={given.onSelect ? given.selected : own}
      select={given.onSelect ?? setOwn}
      view={view}
      change={change}
    />
  );
}
