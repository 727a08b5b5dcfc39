// Time as a place in the timeline, where nothing happened for long folded away. Pure.
import type { TraceNode } from "../../api/client";
import { segmentsOf } from "./layout";
import type { Range } from "./times";

export type { Range } from "./times";

/** A stretch of time in which nothing happened, and where it is drawn, in percent. */
export interface Gap extends Range {
  left: number;
  width: number;
}

interface Piece extends Gap {
  folded: boolean;
}

/** From times to percent of the timeline's width, and back. */
export interface Scale {
  range: Range;
  gaps: Gap[];
  percent: (at: number) => number;
  time: (percent: number) => number;
}

/** Percent of the width that a folded gap takes, and all of them together at most. */
const GAP_WIDTH = 3;
const GAPS_WIDTH = 45;
/** A gap is folded if it is so much of what is shown. */
const FOLDED_SHARE = 0.08;

/** Times at which no work was done and nothing came; `until` is now. */
export function idleGaps(root: TraceNode, until: number): Range[] {
  const busy: Range[] = [];
  const visit = (node: TraceNode) => {
    for (const segment of segmentsOf(node, until)) {
      if (segment.kind === "wait") busy.push({ from: segment.from, to: segment.from }, { from: segment.to, to: segment.to });
      else busy.push(segment);
    }
    node.children.forEach(visit);
  };
  root.children.forEach(visit);
  busy.sort((a, b) => a.from - b.from);
  const gaps: Range[] = [];
  let last = busy[0]?.to ?? until;
  for (const { from, to } of busy) {
    if (from > last) gaps.push({ from: last, to: from });
    last = Math.max(last, to);
  }
  return gaps;
}

/** A scale of what is shown; gaps that are a large part of it are folded. */
export function scaleOf(range: Range, idle: Range[]): Scale {
  const length = range.to - range.from;
  const folded = idle
    .map((gap) => ({ from: Math.max(gap.from, range.from), to: Math.min(gap.to, range.to) }))
    .filter((gap) => gap.to - gap.from > length * FOLDED_SHARE);
  const gapWidth = folded.length ? Math.min(GAP_WIDTH, GAPS_WIDTH / folded.length) : 0;
  const shown = length - folded.reduce((sum, gap) => sum + gap.to - gap.from, 0);
  const perMs = shown > 0 ? (100 - gapWidth * folded.length) / shown : 0;
  const pieces: Piece[] = [];
  let at = range.from;
  let left = 0;
  const add = (to: number, width: number, isFolded: boolean) => {
    if (to > at) pieces.push({ from: at, to, left, width, folded: isFolded });
    at = to;
    left += width;
  };
  for (const gap of folded) {
    add(gap.from, (gap.from - at) * perMs, false);
    add(gap.to, gapWidth, true);
  }
  add(range.to, (range.to - at) * perMs, false);
  const pieceAt = (isIn: (piece: Piece) => boolean) => pieces.find(isIn) ?? pieces.at(-1);
  return {
    range,
    gaps: pieces.filter((piece) => piece.folded),
    percent: (time) => {
      const inside = Math.min(Math.max(time, range.from), range.to);
      const piece = pieceAt((one) => inside <= one.to);
      return piece ? piece.left + (piece.width * (inside - piece.from)) / (piece.to - piece.from) : 0;
    },
    time: (percent) => {
      const piece = pieceAt((one) => percent <= one.left + one.width);
      if (!piece) return range.from;
      const part = piece.width > 0 ? (Math.max(percent, 0) - piece.left) / piece.width : 0;
      return Math.min(piece.from + part * (piece.to - piece.from), range.to);
    },
  };
}

/** Where a segment is, in percent. */
export function place(segment: Range, scale: Scale): { left: number; width: number } {
  const left = scale.percent(segment.from);
  return { left, width: scale.percent(segment.to) - left };
}

/** Percent of the width that a moment's text takes. */
const TICK_WIDTH = 7;

/** Round moments of what is shown, outside its gaps, counted from `begin`, about so many; none over another. */
export function ticks(scale: Scale, begin: number, most = 6): number[] {
  const { range, gaps } = scale;
  const shown = range.to - range.from - gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0);
  const rough = Math.max(shown, 0.001) / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * size).find((n) => n >= rough) ?? rough;
  const all: number[] = [];
  let next = 0;
  let free = 0;
  for (let at = range.from; at <= range.to - (range.to - range.from) * 0.02; at = next) {
    const tick = Math.max(0, Math.ceil((at - begin) / step - 1e-6)) * step;
    next = begin + tick + step;
    const gap = gaps.find((one) => begin + tick > one.from && begin + tick < one.to);
    if (gap) next = Math.max(next, gap.to);
    else if (begin + tick <= range.to && all.at(-1) !== tick) {
      const left = scale.percent(begin + tick);
      // What comes after a folded gap may be near what is before it.
      if (left >= free) {
        all.push(tick);
        free = left + TICK_WIDTH;
      }
    }
    if (next <= at) break;
  }
  return all;
}

/** How much goes on, and whether something fails, in each of so many equal parts of a timeline. */
export function density(root: TraceNode, scale: Scale, until: number, parts: number) {
  const work = new Float64Array(parts);
  const bad = new Uint8Array(parts);
  const partOf = (at: number) => Math.min(parts - 1, Math.floor((scale.percent(at) * parts) / 100));
  const visit = (node: TraceNode) => {
    for (const { kind, from, to, tone } of segmentsOf(node, until)) {
      if (kind === "wait") continue;
      for (let part = partOf(from); part <= partOf(to); part += 1) {
        work[part]! += 1;
        if (tone === "bad") bad[part] = 1;
      }
    }
    // Attempts are drawn with their step.
    for (const child of node.children) if (child.role !== "attempt") visit(child);
  };
  root.children.forEach(visit);
  return { work, bad, most: Math.max(1, ...work) };
}
