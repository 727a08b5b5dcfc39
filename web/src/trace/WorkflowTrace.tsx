import { useMemo, useState } from "react";
import { isOpen } from "../components/status";
import { useNow } from "../components/hooks";
import { ErrorNotice, Loading } from "../components/Notice";
import { DetailPanel } from "./DetailPanel";
import { TraceHeader } from "./TraceHeader";
import { TraceRows } from "./TraceRows";
import { TraceTools } from "./TraceTools";
import { flatten, idOf, nextError, pathTo, reveal, setAll, type Openness } from "./fns/rows";
import { rangeOf } from "./fns/layout";
import { useTraceKeys } from "./hooks/useTraceKeys";
import { useWorkflowTrace, type TraceId } from "./hooks/useWorkflowTrace";

export interface WorkflowTraceProps extends TraceId {
  /** Row whose details are shown; kept here unless the caller keeps it. */
  selected?: string;
  onSelect?: (id: string | undefined) => void;
}

/** One run: its tree beside its time. */
export function WorkflowTrace({ executionId, runId, namespace, ...given }: WorkflowTraceProps) {
  const query = useWorkflowTrace({ executionId, runId, namespace });
  const [own, setOwn] = useState<string>();
  const selected = given.onSelect ? given.selected : own;
  const select = given.onSelect ?? setOwn;
  const [openness, setOpenness] = useState<Openness>(new Map());
  const [cursor, setCursor] = useState<string | undefined>(selected);
  const trace = query.data;
  const now = useNow(trace !== undefined && isOpen(trace.status), 500);

  const root = trace?.root;
  const shownOpenness = useMemo(
    () => (root && selected ? reveal(root, selected, openness) : openness),
    [root, selected, openness],
  );
  const rows = useMemo(() => (root ? flatten(root, shownOpenness) : []), [root, shownOpenness]);
  const range = useMemo(() => (trace ? rangeOf(trace, now) : { from: 0, to: 1 }), [trace, now]);

  const selectedNode = root && selected ? pathTo(root, selected).at(-1) : undefined;
  const active = selectedNode ? idOf(selectedNode) : cursor;
  const move = (id: string) => {
    setCursor(id);
    if (selected !== undefined) select(id);
  };
  const toggle = (id: string, open: boolean) => {
    // Closing over the row that is shown takes the reader to what was closed.
    if (!open && root && selected && pathTo(root, selected).slice(0, -1).some((node) => idOf(node) === id)) select(id);
    setOpenness(new Map(openness).set(id, open));
  };
  const onNextError = () => {
    const next = root && nextError(root, active);
    if (!root || !next) return;
    setOpenness(reveal(root, next, openness));
    setCursor(next);
    select(next);
  };
  const setEvery = (open: boolean) => {
    if (!root) return;
    setOpenness(setAll(root, open));
    if (!open && selected) select(undefined);
  };
  useTraceKeys({ rows, active, move, toggle, onNextError, open: select, panelOpen: selected !== undefined });

  if (query.isPending) return <Loading what="the trace" />;
  if (!trace) return <ErrorNotice error={query.error!} onRetry={() => void query.refetch()} />;
  return (
    <div className="trace">
      <TraceHeader trace={trace} now={now} stale={query.error ?? undefined} />
      <TraceTools
        trace={trace}
        onExpand={() => setEvery(true)}
        onCollapse={() => setEvery(false)}
        onNextError={nextError(trace.root, undefined) ? onNextError : undefined}
      />
      <div className="trace-body">
        <TraceRows
          rows={rows}
          range={range}
          now={now}
          active={active}
          onSelect={(id) => {
            setCursor(id);
            select(id);
          }}
          onToggle={toggle}
        />
        {selectedNode && (
          <DetailPanel
            key={idOf(selectedNode)}
            id={{ executionId: trace.execution_id, runId: trace.run_id, namespace: trace.namespace }}
            node={selectedNode}
            onClose={() => select(undefined)}
          />
        )}
      </div>
    </div>
  );
}
