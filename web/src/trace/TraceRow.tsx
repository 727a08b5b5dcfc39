import { memo } from "react";
import type { TraceNode } from "../api/client";
import { StatusBadge } from "../components/StatusBadge";
import { dollars, duration, parseTime, thousands } from "../components/format";
import { isOpen, stateOf } from "../components/status";
import { place, segmentsOf, type Range, type Segment } from "./fns/layout";
import { attemptsOf, type Row } from "./fns/rows";

interface Props {
  domId: string;
  row: Row;
  range: Range;
  now: number;
  top: number;
  height: number;
  active: boolean;
  onSelect: (id: string) => void;
  onToggle: (id: string, open: boolean) => void;
}

/** One node: what it is at the left, when it was at the right. */
export const TraceRow = memo(function TraceRow(props: Props) {
  const { domId, row, range, now, top, height, active, onSelect, onToggle } = props;
  const { node } = row;
  const took = tookOf(node, now);
  return (
    <div
      id={domId}
      className="row"
      role="treeitem"
      aria-level={row.depth + 1}
      aria-expanded={row.expandable ? row.open : undefined}
      aria-selected={active}
      style={{ top, height }}
      onClick={() => onSelect(row.id)}
    >
      <div
        className={`row-name ${node.provisional ? "row-proposed" : ""}`}
        style={{ "--depth": row.depth } as React.CSSProperties}
      >
        {row.expandable ? (
          <button
            className="chevron"
            data-open={row.open}
            tabIndex={-1}
            aria-label={row.open ? "Close" : "Open"}
            onClick={(event) => {
              event.stopPropagation();
              onToggle(row.id, !row.open);
            }}
          >
            ›
          </button>
        ) : (
          <span className="chevron" />
        )}
        <StatusBadge state={stateOf(node)} short />
        <span className="row-title cut">{titleOf(node)}</span>
        <Badges node={node} />
        {node.role !== "run" && node.error ? (
          <span className="row-error cut">{[node.error.type, node.error.message].filter(Boolean).join(": ")}</span>
        ) : (
          <span className="row-meta cut">{metaOf(node)}</span>
        )}
        {took && <span className="row-took">{took}</span>}
      </div>
      <div className="row-time">
        {segmentsOf(node, Math.min(now, range.to)).map((segment) => (
          <Bar key={`${segment.kind}${segment.from}`} segment={segment} range={range} run={node.role === "run"} />
        ))}
      </div>
    </div>
  );
});

function Badges({ node }: { node: TraceNode }) {
  const attempts = attemptsOf(node).length;
  return (
    <>
      {node.category && <span className="badge">{node.category}</span>}
      {attempts > 1 && <span className="badge">{attempts} attempts</span>}
    </>
  );
}

function Bar({ segment, range, run }: { segment: Segment; range: Range; run: boolean }) {
  const { left, width } = place(segment, range);
  const tone = segment.tone ? `bar-${segment.tone}` : "";
  const style = segment.kind === "point" ? { left: `${left}%` } : { left: `${left}%`, width: `${width}%` };
  return (
    <i
      className={`bar bar-${segment.kind} ${segment.kind === "work" ? tone : ""} ${run ? "bar-run" : ""}`}
      style={style}
      title={`${segment.kind === "wait" ? "waiting " : ""}${duration(segment.to - segment.from)}`}
    />
  );
}

const NAMED = new Set(["activity", "workflow", "patch", "timer"]);

function titleOf(node: TraceNode): string {
  if (node.role === "attempt") return `attempt ${node.attempt}`;
  if (node.kind === "timer") return node.event_key.split(":").slice(0, 2).join(" ");
  if (node.kind === "patch") return `patch ${node.event_key.split(":")[1] ?? ""}`;
  return node.role === "step" && !NAMED.has(node.kind) ? `${node.kind.replaceAll("_", " ")} ${node.name}` : node.name;
}

/** What is said of a node beside its name. */
function metaOf(node: TraceNode): string {
  const tokens = node.token_usage;
  return [
    node.child_run?.execution_id,
    node.role === "inner" && node.kind !== node.category && node.kind,
    node.model,
    tokens && node.role !== "run" && `${thousands(tokens.prompt)}→${thousands(tokens.completion)} tokens`,
    node.cost_usd != null && node.role !== "run" && dollars(node.cost_usd),
    node.more_children && `${thousands(node.more_children)} more inside`,
  ]
    .filter(Boolean)
    .join(" · ");
}

function tookOf(node: TraceNode, now: number): string | undefined {
  if (node.duration_ms != null) return duration(node.duration_ms);
  const begin = parseTime(node.started_at) ?? parseTime(node.scheduled_at);
  const goesOn = isOpen(node.status) && !node.left_open && begin !== undefined;
  return goesOn ? `${duration(now - begin)}…` : undefined;
}
