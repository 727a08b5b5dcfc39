import { useMemo, useRef, useState } from "react";
import type { Trace } from "../api/client";
import { useNow } from "../components/hooks";
import { isOpen } from "../components/status";
import { DetailPanel } from "./DetailPanel";
import { Minimap } from "./Minimap";
import { ReplayBar } from "./ReplayBar";
import { StatePanel } from "./StatePanel";
import { TraceHeader } from "./TraceHeader";
import { TraceRows } from "./TraceRows";
import { TraceTools } from "./TraceTools";
import { criticalPath } from "./fns/critical";
import { rangeOf } from "./fns/layout";
import { idOf, nextError } from "./fns/rows";
import { idleGaps, scaleOf, type Range } from "./fns/scale";
import type { View } from "./fns/view";
import { panned, zoomed } from "./fns/zoom";
import { useReplay } from "./hooks/useReplay";
import { useTraceKeys } from "./hooks/useTraceKeys";
import { useTraceRows } from "./hooks/useTraceRows";
import type { ChangeView } from "./hooks/useView";
import { useWalk } from "./hooks/useWalk";

/** Rows of a run that is long. */
const MANY = 5000;

interface Props {
  trace: Trace;
  /** Why what is shown may be old. */
  stale?: Error;
  /** The run tells of itself what happens. */
  streams: boolean;
  selected: string | undefined;
  select: (id: string | undefined) => void;
  view: View;
  change: ChangeView;
}

/** A run that is there. */
export function LoadedTrace({ trace, stale, streams, selected, select, view, change }: Props) {
  const live = isOpen(trace.status);
  // A long run takes a while to be laid out anew.
  const now = useNow(live, trace.event_count > MANY ? 5000 : 500);
  const search = useRef<HTMLInputElement>(null);
  const [zoom, setZoom] = useState<Range>();

  const range = useMemo(() => rangeOf(trace, now), [trace, now]);
  const folds = view.fold !== "off";
  const idle = useMemo(() => (folds ? idleGaps(trace.root, now) : []), [folds, trace.root, now]);
  const whole = useMemo(() => scaleOf(range, idle), [range, idle]);
  const scale = useMemo(() => (zoom ? scaleOf(zoom, idle) : whole), [zoom, idle, whole]);
  const replay = useReplay(trace, whole, view.at, (at) => change({ at }));
  const until = replay.at ?? Math.min(now, range.to);
  const marks = view.path === "on";
  const critical = useMemo(
    () => (marks ? criticalPath(replay.shown.root, until) : undefined),
    [marks, replay.shown.root, until],
  );

  const list = useTraceRows(replay.shown, view, selected, select);
  const hasErrors = useMemo(() => nextError(trace.root, undefined) !== undefined, [trace.root]);
  const toggleReplay = replay.at === undefined ? replay.start : replay.leave;
  const onZoom = (to: Range | undefined) => setZoom(to && zoomed(to, range));
  const scaled = (by: number) => onZoom(panned(zoom ?? range, by, 0, replay.at));
  const setView = { folds: { fold: folds ? "off" : undefined }, marks: { path: marks ? undefined : "on" } };
  const walk = useWalk(trace);
  useTraceKeys({
    ...list,
    open: list.choose,
    panelOpen: list.selectedNode !== undefined,
    more: {
      Escape: () => (selected === undefined && replay.at !== undefined ? replay.leave() : select(undefined)),
      e: list.nextError,
      "*": () => list.setEvery(true),
      _: () => list.setEvery(false),
      "/": () => search.current?.focus(),
      r: toggleReplay,
      " ": replay.toggle,
      ".": () => replay.step(1),
      ",": () => replay.step(-1),
      "+": () => scaled(0.5),
      "-": () => scaled(2),
      "0": () => onZoom(undefined),
      ShiftArrowLeft: () => zoom && onZoom(panned(zoom, 1, -0.25)),
      ShiftArrowRight: () => zoom && onZoom(panned(zoom, 1, 0.25)),
      f: () => change(setView.folds),
      c: () => change(setView.marks),
      "[": walk.previous,
      "]": walk.next,
      u: walk.parent,
    },
  });

  return (
    <div className="trace">
      <TraceHeader trace={trace} now={now} stale={stale} onSelect={list.choose} />
      <TraceTools
        trace={replay.shown}
        rows={list.rows}
        found={list.found}
        live={live ? (streams ? "streams" : "looks") : undefined}
        search={search}
        view={view}
        change={change}
        onEvery={list.setEvery}
        onNextError={hasErrors ? list.nextError : undefined}
        onReplay={toggleReplay}
      />
      <Minimap root={trace.root} whole={whole} until={until} zoom={zoom} moment={replay.at} onZoom={onZoom} onScaled={scaled} />
      {replay.at !== undefined && <ReplayBar replay={replay} at={replay.at} whole={whole} />}
      {replay.at !== undefined && <StatePanel root={replay.shown.root} onSelect={list.choose} />}
      <div className="trace-body">
        <TraceRows
          rows={list.rows}
          scale={scale}
          begin={range.from}
          now={replay.at ?? now}
          until={until}
          moment={replay.at}
          critical={critical}
          active={list.active}
          covered={list.selectedNode !== undefined}
          onSelect={list.choose}
          onToggle={list.toggle}
        />
        {list.selectedNode && (
          <DetailPanel
            key={idOf(list.selectedNode)}
            id={{ executionId: trace.execution_id, runId: trace.run_id, namespace: trace.namespace }}
            node={list.selectedNode}
            dashboards={trace.dashboards}
            replayed={replay.at !== undefined}
            onClose={() => select(undefined)}
          />
        )}
      </div>
    </div>
  );
}
