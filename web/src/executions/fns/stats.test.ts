import { describe, expect, it } from "vitest";
import type { ComparedSide, ComparedStep, Compared, Execution, StatsHour } from "../../api/client";
import { differences, longer, shownSteps } from "../../compare/fns/steps";
import { chose, compareTwo } from "./choice";
import { HOUR, byHour, roundUp, totals } from "./stats";

describe("hours", () => {
  it("are all there, with their types together", () => {
    const from = Date.UTC(2026, 0, 1, 10);
    const one = (hour: string, given: Partial<StatsHour>) =>
      ({ hour, completed: 0, failed: 0, other: 0, open: 0, cost_usd: 0, ...given }) as StatsHour;
    const hours = byHour(
      [
        one("2026-01-01T11:00:00Z", { completed: 2, p95_ms: 10, p50_ms: 3 }),
        one("2026-01-01T11:00:00Z", { failed: 1, p95_ms: 90 }),
        one("2025-01-01T11:00:00Z", { failed: 7 }),
      ],
      from + 5,
      from + 2 * HOUR,
    );
    expect(hours.map((hour) => [hour.completed, hour.failed, hour.p95])).toEqual([[0, 0, undefined], [2, 1, 90], [0, 0, undefined]]);
    expect(totals(hours)).toMatchObject({ completed: 2, failed: 1, errorRate: 1 / 3 });
    expect([0, 1, 7, 12, 100, 101].map(roundUp)).toEqual([1, 1, 10, 20, 100, 200]);
  });
});

describe("two runs", () => {
  const side = { status: "completed", attempts: 1, duration_ms: 5 } as ComparedSide;
  const step = (event_key: string, differs: string[], given: Partial<ComparedStep> = {}) =>
    ({ event_key, differs, a: side, b: side, ...given }) as ComparedStep;

  it("show what differs in more than time first, and what is alike when it is wanted", () => {
    const steps = [step("time", ["duration_ms"]), step("same", []), step("bad", ["duration_ms", "status"])];
    const compared = { steps } as Compared;
    expect(shownSteps(compared, false).map((one) => one.event_key)).toEqual(["bad", "time"]);
    expect(shownSteps(compared, true).map((one) => one.event_key)).toEqual(["bad", "time", "same"]);
  });

  it("say in words what differs", () => {
    expect(differences(step("x", ["error_type", "duration_ms"]))).toEqual(["error", "duration"]);
    expect(differences(step("x", ["status"], { b: null }))).toEqual(["only in A"]);
    expect(longer(step("x", [], { b: { ...side, duration_ms: 25 } }))).toBe(20);
    expect(longer(step("x", [], { b: null }))).toBeUndefined();
  });

  it("are chosen two at a time, the older one as A", () => {
    const run = (run_id: string, started_at: string) => ({ execution_id: `w/${run_id}`, run_id, namespace: "n", started_at }) as Execution;
    const [a, b, c] = [run("a", "2026-01-01"), run("b", "2026-01-02"), run("c", "2026-01-03")];
    const two = chose(chose(chose([], a!), b!), c!);
    expect(two.map((one) => one.run_id)).toEqual(["b", "c"]);
    expect(chose(two, b!)).toEqual([c]);
    expect(compareTwo([c!, a!])).toBe("/compare?a=w%2Fa&a_run=a&b=w%2Fc&b_run=c&namespace=n");
  });
});
