import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useMemo, useRef } from "react";
import { duration } from "../components/format";
import { TraceRow } from "./TraceRow";
import type { CriticalPath } from "./fns/critical";
import type { Row } from "./fns/rows";
import { ticks, type Scale } from "./fns/scale";
import { useMediaQuery } from "./hooks/useMediaQuery";

interface Props {
  rows: Row[];
  scale: Scale;
  /** When the run began: ticks count from there. */
  begin: number;
  now: number;
  until: number;
  moment: number | undefined;
  critical: CriticalPath | undefined;
  active: string | undefined;
  /** Details lie over the lower part of a narrow page. */
  covered: boolean;
  onSelect: (id: string) => void;
  onToggle: (id: string, open: boolean) => void;
}

/** Tree and timeline side by side: one list, of which only what is seen is in the page. */
export function TraceRows(props: Props) {
  const { rows, scale, begin, now, until, moment, critical, active, covered, onSelect, onToggle } = props;
  const scroll = useRef<HTMLDivElement>(null);
  const narrow = useMediaQuery("(max-width: 700px)");
  const height = narrow ? 44 : 28;
  const under = narrow && covered ? 0.6 * window.innerHeight : 0;
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => height,
    getItemKey: (index) => rows[index]?.id ?? index,
    overscan: 12,
    paddingEnd: under,
    scrollPaddingEnd: under,
    initialRect: { width: 800, height: 600 },
  });
  useEffect(() => list.measure(), [height, list]);

  const at = useMemo(() => rows.findIndex((row) => row.id === active), [rows, active]);
  useEffect(() => {
    if (at >= 0) list.scrollToIndex(at, { align: "auto" });
  }, [at, list, under]);

  return (
    <div className="trace-grid">
      <Axis scale={scale} begin={begin} />
      <div
        ref={scroll}
        className="rows"
        role="tree"
        aria-label="Steps of the run"
        aria-activedescendant={at >= 0 ? rowId(at) : undefined}
        tabIndex={0}
      >
        <div className="rows-inner" role="presentation" style={{ height: list.getTotalSize() }}>
          <Overlay scale={scale} moment={moment} />
          {list.getVirtualItems().map(({ index, start, key }) => {
            const row = rows[index];
            return (
              row && (
                <TraceRow
                  key={key}
                  domId={rowId(index)}
                  row={row}
                  scale={scale}
                  now={now}
                  until={until}
                  critical={critical?.get(row.id)}
                  top={start}
                  height={height}
                  active={row.id === active}
                  onSelect={onSelect}
                  onToggle={onToggle}
                />
              )
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** When, in round numbers since the run began. */
const Axis = memo(function Axis({ scale, begin }: { scale: Scale; begin: number }) {
  return (
    <div className="axis" aria-hidden="true">
      <div className="axis-tree">step</div>
      <div className="axis-time">
        {ticks(scale, begin).map((tick) => (
          <span key={tick} className="tick" style={{ left: `${scale.percent(begin + tick)}%` }}>
            {duration(tick)}
          </span>
        ))}
      </div>
    </div>
  );
});

/** What goes through all rows: folded gaps, and the moment of the replay. */
const Overlay = memo(function Overlay({ scale, moment }: { scale: Scale; moment: number | undefined }) {
  const shown = moment !== undefined && moment >= scale.range.from && moment <= scale.range.to;
  return (
    <div className="row-overlay" aria-hidden="true">
      <div className="row-time">
        {scale.gaps.map(({ from, to, left, width }) => (
          <i
            key={from}
            className="gap"
            style={{ left: `${left}%`, width: `${width}%` }}
            title={`nothing happened for ${duration(to - from)}`}
          />
        ))}
        {shown && <i className="moment" style={{ left: `${scale.percent(moment)}%` }} />}
      </div>
    </div>
  );
});

const rowId = (index: number) => `row-${index}`;
