// Numbers of hours as bars. Pure.
import type { StatsHour } from "../../api/client";

export const HOUR = 3_600_000;

/** All types of an hour together. */
export interface Hour {
  at: number;
  completed: number;
  failed: number;
  other: number;
  open: number;
  /** Of the slowest type: percentiles of several types do not add up. */
  p50: number | undefined;
  p95: number | undefined;
  cost: number;
}

/** Each hour from the first to the last, also those in which no run began. */
export function byHour(hours: StatsHour[], from: number, to: number): Hour[] {
  const first = Math.floor(from / HOUR) * HOUR;
  const all: Hour[] = [];
  for (let at = first; at <= to; at += HOUR) {
    all.push({ at, completed: 0, failed: 0, other: 0, open: 0, p50: undefined, p95: undefined, cost: 0 });
  }
  for (const one of hours) {
    const hour = all[Math.floor((Date.parse(one.hour ?? "") - first) / HOUR)];
    if (!hour) continue;
    hour.completed += one.completed;
    hour.failed += one.failed;
    hour.other += one.other;
    hour.open += one.open;
    hour.cost += one.cost_usd;
    hour.p50 = greater(hour.p50, one.p50_ms);
    hour.p95 = greater(hour.p95, one.p95_ms);
  }
  return all;
}

const greater = (a: number | undefined, b: number | null | undefined) => (b == null ? a : Math.max(a ?? 0, b));

/** A round number that is not less. */
export function roundUp(n: number): number {
  if (n <= 1) return 1;
  const size = 10 ** Math.floor(Math.log10(n));
  return ([1, 2, 5, 10].find((times) => times * size >= n) ?? 10) * size;
}

export function totals(hours: Hour[]) {
  const sum = (of: (hour: Hour) => number) => hours.reduce((total, hour) => total + of(hour), 0);
  const [completed, failed, other, open] = [sum((h) => h.completed), sum((h) => h.failed), sum((h) => h.other), sum((h) => h.open)];
  const ended = completed + failed + other;
  return { completed, failed, other, open, errorRate: ended ? failed / ended : 0, cost: sum((h) => h.cost) };
}
