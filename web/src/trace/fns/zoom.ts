// What part of a run's time is shown. Pure.
import type { Range } from "./times";

/** Milliseconds that can be shown at least. */
const LEAST = 0.01;

/** A part of a range, moved and cut so that it lies inside; nothing if it is all of it. */
export function zoomed(part: Range, range: Range): Range | undefined {
  const length = Math.max(part.to - part.from, LEAST);
  if (length >= range.to - range.from) return undefined;
  const from = Math.min(Math.max(part.from, range.from), range.to - length);
  return { from, to: from + length };
}

/** A part made longer or shorter around a point, its middle if there is none, and moved by a share of it. */
export function panned({ from, to }: Range, scaled: number, moved: number, around = (from + to) / 2): Range {
  const middle = Math.min(Math.max(around, from), to);
  const by = (to - from) * moved;
  return { from: middle - (middle - from) * scaled + by, to: middle + (to - middle) * scaled + by };
}
