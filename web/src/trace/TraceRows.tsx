import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import { duration } from "../components/format";
import { TraceRow } from "./TraceRow";
import { ticks, type Range } from "./fns/layout";
import type { Row } from "./fns/rows";
import { useMediaQuery } from "./hooks/useMediaQuery";

interface Props {
  rows: Row[];
  range: Range;
  now: number;
  active: string | undefined;
  onSelect: (id: string) => void;
  onToggle: (id: string, open: boolean) => void;
}

/** Tree and timeline side by side: one list, of which only what is seen is in the page. */
export function TraceRows({ rows, range, now, active, onSelect, onToggle }: Props) {
  const scroll = useRef<HTMLDivElement>(null);
  const narrow = useMediaQuery("(max-width: 700px)");
  const height = narrow ? 44 : 28;
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => height,
    getItemKey: (index) => rows[index]?.id ?? index,
    overscan: 12,
    initialRect: { width: 800, height: 600 },
  });
  useEffect(() => list.measure(), [height, list]);

  const at = rows.findIndex((row) => row.id === active);
  useEffect(() => {
    if (at >= 0) list.scrollToIndex(at, { align: "auto" });
  }, [at, list]);

  return (
    <div className="trace-grid">
      <div className="axis" aria-hidden="true">
        <div className="axis-tree">step</div>
        <div className="axis-time">
          {ticks(range).map((tick) => (
            <span key={tick} className="tick" style={{ left: `${(100 * tick) / (range.to - range.from)}%` }}>
              {duration(tick)}
            </span>
          ))}
        </div>
      </div>
      <div
        ref={scroll}
        className="rows"
        role="tree"
        aria-label="Steps of the run"
        aria-activedescendant={at >= 0 ? rowId(at) : undefined}
        tabIndex={0}
      >
        <div className="rows-inner" role="presentation" style={{ height: list.getTotalSize() }}>
          {list.getVirtualItems().map(({ index, start, key }) => {
            const row = rows[index];
            return (
              row && (
                <TraceRow
                  key={key}
                  domId={rowId(index)}
                  row={row}
                  range={range}
                  now={now}
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

const rowId = (index: number) => `row-${index}`;
