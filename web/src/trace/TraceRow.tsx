import { memo } from "react";
import type { TraceNode } from "../api/client";
import { StatusBadge } from "../components/StatusBadge";
import { dollars, duration, parseTime, thousands } from "../components/format";
import { isOpen, stateOf } from "../components/status";
import { segmentsOf, type Segment } from "./fns/layout";
import { attemptsOf, titleOf, type Row } from "./fns/rows";
import { place, type Range, type Scale } from "./fns/scale";

interface Props {
  domId: string;
  row: Row;
  scale: Scale;
  now: number;
  /** Up to when what goes on is drawn. */
  until: number;
  /** Times at which the length of the run depended on it alone. */
  critical: Range[] | undefined;
  top: number;
  height: number;
  active: boolean;
  onSelect: (id: string) => void;
  onToggle: (id: string, open: boolean) => void;
}

/** One node: what it is at the left, when it was at the right. */
export const TraceRow = memo(function TraceRow(props: Props) {
  const { domId, row, scale, now, until, critical, top, height, active, onSelect, onToggle } = props;
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
        {critical && <span className="visually-hidden">on the critical path</span>}
        {node.role !== "run" && node.error ? (
          <span className="row-error cut">{[node.error.type, node.error.message].filter(Boolean).join(": ")}</span>
        ) : (
          <span className="row-meta cut">{metaOf(node)}</span>
        )}
        {took && <span className="row-took">{took}</span>}
      </div>
      <div className="row-time">
        {segmentsOf(node, until).map((segment) => (
          <Bar key={`${segment.kind}${segment.from}`} segment={segment} scale={scale} run={node.role === "run"} />
        ))}
        {critical?.map((part) => {
          const { left, width } = place(part, scale);
          return width > 0 && <i key={part.from} className="bar-critical" style={{ left: `${left}%`, width: `${width}%` }} />;
        })}
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

function Bar({ segment, scale, run }: { segment: Segment; scale: Scale; run: boolean }) {
  if (segment.to < scale.range.from || segment.from > scale.range.to) return null;
  const { left, width } = place(segment, scale);
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

/** What is said of a node beside its name. */
function metaOf(node: TraceNode): string {
  const tokens = node.token_usage;
  return [
    node.child_run?.execution_id,
    node.role === "inner" && node.kind !== node.category && node.kind,
    node.service,
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
