import { describe, expect, it } from "vitest";
import { T0, at, attempt, node, run } from "./fixture";
import { density, idleGaps, place, scaleOf, ticks } from "./scale";

const range = (from: number, to: number) => ({ from, to });

describe("scale", () => {
  it("places segments inside the range, whatever other clocks say", () => {
    const scale = scaleOf(range(100, 200), []);
    expect(place(range(150, 175), scale)).toEqual({ left: 50, width: 25 });
    expect(place(range(0, 900), scale)).toEqual({ left: 0, width: 100 });
  });

  it("folds what is long and idle, and goes back from places to times", () => {
    // A timer of a day between two seconds of work.
    const root = run([
      node("a", { scheduled_at: at(0), ended_at: at(1000), waiting_ms: 0 }),
      node("t", { kind: "timer", scheduled_at: at(1000), ended_at: at(86_401_000) }),
      node("b", { scheduled_at: at(86_401_000), ended_at: at(86_402_000), waiting_ms: 0 }),
    ]);
    const idle = idleGaps(root, T0);
    expect(idle.map((gap) => [gap.from - T0, gap.to - T0])).toEqual([[1000, 86_401_000]]);
    const scale = scaleOf(range(T0, T0 + 86_402_000), idle);
    expect(scale.gaps).toHaveLength(1);
    expect(scale.gaps[0]).toMatchObject({ left: 48.5, width: 3 });
    for (const ms of [0, 400, 1000, 40_000_000, 86_401_000, 86_401_500, 86_402_000]) {
      expect(scale.time(scale.percent(T0 + ms))).toBeCloseTo(T0 + ms, 1);
    }
    // Short pauses are shown as long as they are.
    expect(scaleOf(range(0, 100), [range(10, 17)]).gaps).toEqual([]);
    expect(scaleOf(range(0, 100), [range(10, 19)]).gaps).toHaveLength(1);
    // Folds of what is shown alone.
    expect(scaleOf(range(T0, T0 + 1000), idle).gaps).toEqual([]);
  });

  it("ticks at round moments, and not inside a gap", () => {
    expect(ticks(scaleOf(range(7, 1667), []), 7)).toEqual([0, 500, 1000, 1500]);
    expect(ticks(scaleOf(range(0, 12), []), 0)).toEqual([0, 2, 4, 6, 8, 10]);
    const folded = scaleOf(range(0, 1000), [range(200, 900)]);
    const all = ticks(folded, 0);
    expect(all.filter((tick) => tick > 200 && tick < 900)).toEqual([]);
    // Those on both sides of a gap are not written over each other.
    const places = all.map((tick) => folded.percent(tick));
    expect(places.every((place, n) => n === 0 || place - places[n - 1]! >= 7)).toBe(true);
    expect(ticks(scaleOf(range(1000, 1100), []), 0)[0]).toBe(1000);
  });

  it("ends for any range", () => {
    expect(ticks(scaleOf(range(T0, T0 + 0.01), []), T0).length).toBeLessThan(20);
    expect(ticks(scaleOf(range(T0, T0 + 1), [range(T0, T0 + 1)]), T0).length).toBeLessThan(20);
  });

  it("shows at a glance where work is, and where it fails", () => {
    const root = run([
      node("a", { scheduled_at: at(0), ended_at: at(100), waiting_ms: 0 }),
      node("b", {
        scheduled_at: at(50),
        ended_at: at(100),
        children: [attempt("b", 1, { status: "failed", started_at: at(60), ended_at: at(70) })],
      }),
    ]);
    const { work, bad, most } = density(root, scaleOf(range(T0, T0 + 100), []), T0, 10);
    expect([...work]).toEqual([1, 1, 1, 1, 1, 1, 2, 2, 1, 1]);
    expect([...bad]).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 0, 0]);
    expect(most).toBe(2);
  });
});
