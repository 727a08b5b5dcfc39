import { useMemo, useState, type PointerEvent } from "react";
import type { TraceNode } from "../api/client";
import { density, type Range, type Scale } from "./fns/scale";

interface Props {
  root: TraceNode;
  whole: Scale;
  until: number;
  /** What is shown of it, if not all. */
  zoom: Range | undefined;
  moment: number | undefined;
  onZoom: (range: Range | undefined) => void;
  onScaled: (by: number) => void;
}

const PARTS = 240;
const HEIGHT = 30;
/** Percent of the width below which a drag is a click. */
const CLICK = 0.7;

/** The whole run at a glance; dragging over it shows that part. The keyboard zooms by + and -. */
export function Minimap({ root, whole, until, zoom, moment, onZoom, onScaled }: Props) {
  const [drag, setDrag] = useState<{ from: number; to: number }>();
  const { work, bad, most } = useMemo(() => density(root, whole, until, PARTS), [root, whole, until]);
  const percentAt = (event: PointerEvent<SVGSVGElement>) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    return Math.min(Math.max((100 * (event.clientX - left)) / Math.max(width, 1), 0), 100);
  };
  const end = () => {
    if (!drag) return;
    setDrag(undefined);
    const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
    onZoom(to - from < CLICK ? undefined : { from: whole.time(from), to: whole.time(to) });
  };
  const part = drag
    ? { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) }
    : zoom && { from: whole.percent(zoom.from), to: whole.percent(zoom.to) };
  return (
    <div className="minimap">
      <svg
        viewBox={`0 0 100 ${HEIGHT}`}
        preserveAspectRatio="none"
        aria-hidden="true"
        data-testid="minimap"
        onPointerDown={(event) => {
          const at = percentAt(event);
          event.currentTarget.setPointerCapture?.(event.pointerId);
          setDrag({ from: at, to: at });
        }}
        onPointerMove={(event) => drag && setDrag({ ...drag, to: percentAt(event) })}
        onPointerUp={end}
        onPointerCancel={() => setDrag(undefined)}
      >
        <path className="minimap-work" d={bars(work, most, () => true)} />
        <path className="minimap-bad" d={bars(work, most, (at) => bad[at] === 1) + marks(bad)} />
        {whole.gaps.map(({ from, left, width }) => (
          <rect key={from} className="minimap-gap" x={left} width={width} height={HEIGHT} />
        ))}
        {part && <rect className="minimap-off" x={0} width={part.from} height={HEIGHT} />}
        {part && <rect className="minimap-off" x={part.to} width={100 - part.to} height={HEIGHT} />}
        {moment !== undefined && (
          <rect className="minimap-moment" x={whole.percent(moment) - 0.1} width={0.2} height={HEIGHT} />
        )}
      </svg>
      <div className="minimap-tools" role="group" aria-label="Zoom">
        <button onClick={() => onScaled(0.5)} aria-label="Zoom in" title="Zoom in (+), or drag over the overview">
          +
        </button>
        <button onClick={() => onScaled(2)} disabled={!zoom} aria-label="Zoom out" title="Zoom out (-)">
          −
        </button>
        <button onClick={() => onZoom(undefined)} disabled={!zoom} title="Show all (0)">
          All
        </button>
      </div>
    </div>
  );
}

/** Failures are marked at the top too: colour alone would not tell them. */
function marks(bad: Uint8Array): string {
  const width = 100 / PARTS;
  return [...bad].map((is, at) => (is ? `M${(at * width).toFixed(2)} 0h${width.toFixed(2)}v4h${(-width).toFixed(2)}z` : "")).join("");
}

/** One shape for all bars, so that an overview is a few elements however long the run is. */
function bars(work: Float64Array, most: number, shown: (at: number) => boolean): string {
  const width = 100 / PARTS;
  let path = "";
  work.forEach((n, at) => {
    if (n === 0 || !shown(at)) return;
    const height = 3 + ((HEIGHT - 5) * Math.sqrt(n)) / Math.sqrt(most);
    path += `M${(at * width).toFixed(2)} ${HEIGHT}v${-height.toFixed(1)}h${width.toFixed(2)}V${HEIGHT}z`;
  });
  return path;
}
