import { describe, expect, it } from "vitest";
import type { Trace } from "../../api/client";
import { T0, at, attempt, node, run } from "./fixture";
import { rangeOf, segmentsOf } from "./layout";

/** Segments as text, in milliseconds after T0. */
const drawn = (of: ReturnType<typeof node>, until = T0 + 1000) =>
  segmentsOf(of, until).map((s) => `${s.kind}${s.tone ? `/${s.tone}` : ""} ${s.from - T0}-${s.to - T0}`);

describe("layout", () => {
  it("draws waiting apart from work", () => {
    const step = node("a", { scheduled_at: at(10), ended_at: at(100), waiting_ms: 30 });
    expect(drawn(step)).toEqual(["wait 10-40", "work 40-100"]);
    const child = node("c", { scheduled_at: at(10), started_at: at(20), ended_at: at(50) });
    expect(drawn(child)).toEqual(["wait 10-20", "work 20-50"]);
    const approval = { category: "approval", children: [attempt("p", 1, { started_at: at(2), ended_at: at(9) })] };
    expect(drawn(node("p", { ...approval, scheduled_at: at(0), ended_at: at(9) }))).toEqual(["wait 0-9"]);
    expect(drawn(node("t", { kind: "timer", scheduled_at: at(0), ended_at: at(9) }))).toEqual(["wait 0-9"]);
  });

  it("draws each attempt, and the backoff between", () => {
    const step = node("a", {
      scheduled_at: at(0),
      ended_at: at(500),
      children: [
        attempt("a", 1, { status: "failed", scheduled_at: at(0), started_at: at(5), ended_at: at(20) }),
        attempt("a", 2, { scheduled_at: at(20), started_at: at(400), ended_at: at(500) }),
      ],
    });
    expect(drawn(step)).toEqual(["wait 0-5", "work/bad 5-20", "wait 20-400", "work 400-500"]);
  });

  it("draws what goes on until now, and a step that backs off as waiting", () => {
    expect(drawn(node("a", { status: "running", started_at: at(10) }))).toEqual(["work/live 10-1000"]);
    expect(drawn(node("a", { status: "scheduled", scheduled_at: at(10) }))).toEqual(["wait 10-1000"]);
    const backing = node("a", {
      status: "running",
      scheduled_at: at(0),
      children: [attempt("a", 1, { status: "failed", started_at: at(0), ended_at: at(20) })],
    });
    expect(drawn(backing)).toEqual(["work/bad 0-20", "wait 20-1000"]);
  });

  it("draws what has no length as a point, and what has no time not at all", () => {
    expect(drawn(node("s", { kind: "signal", scheduled_at: at(7) }))).toEqual(["point 7-7"]);
    expect(drawn(node("s"))).toEqual([]);
  });

  it("ranges from the first to the last moment", () => {
    const trace = (given: object) => ({ status: "completed", ...given }) as Trace;
    const late = node("a", { scheduled_at: at(-5), ended_at: at(120) });
    const closed = trace({ started_at: at(0), ended_at: at(100), root: run([late]) });
    expect(rangeOf(closed, T0 + 9999)).toEqual({ from: T0 - 5, to: T0 + 120 });
    const open = trace({ status: "running", started_at: at(0), root: run([]) });
    expect(rangeOf(open, T0 + 50)).toEqual({ from: T0, to: T0 + 50 });
    expect(rangeOf(trace({ root: run([]) }), T0)).toEqual({ from: T0, to: T0 + 1 });
  });
});
