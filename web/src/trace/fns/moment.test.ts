import { describe, expect, it } from "vitest";
import type { Trace, TraceNode } from "../../api/client";
import { T0, at, attempt, node, run } from "./fixture";
import { happened, momentsOf, stateOf, stepFrom, traceAt, writeMoment } from "./moment";

const tokens = { token_usage: { prompt: 10, completion: 5 }, cost_usd: 0.5 };
const root = run(
  [
    node("a", {
      scheduled_at: at(0),
      ended_at: at(100),
      ...tokens,
      children: [
        attempt("a", 1, { status: "failed", started_at: at(10), ended_at: at(20), error: { type: "Down" } }),
        attempt("a", 2, { started_at: at(50), ended_at: at(90), ...tokens }),
      ],
    }),
    node("t", { kind: "timer", event_key: "timer:1:timer:1", scheduled_at: at(100), ended_at: at(500) }),
    node("s", { kind: "signal", event_key: "signal:9:go:1", scheduled_at: at(300), ended_at: at(300) }),
    node("c", { kind: "child_workflow", scheduled_at: at(500), started_at: at(510), ended_at: at(600), status: "failed" }),
  ],
  { started_at: at(0), ended_at: at(600), status: "failed", ...tokens, error: { type: "Bad" } },
);
const trace = { status: "failed", started_at: at(0), ended_at: at(600), duration_ms: 600, event_count: 6, root } as Trace;

const shape = (one: TraceNode): string => {
  const below = one.children.length ? `(${one.children.map(shape).join(" ")})` : "";
  return `${one.name}${one.role === "attempt" ? one.attempt : ""}:${one.status}${below}`;
};
const shapeAt = (ms: number) => shape(traceAt(trace, T0 + ms).root);

describe("a moment", () => {
  it("shows what was there, as it stood", () => {
    expect(shapeAt(-1)).toBe("Order:scheduled");
    expect(shapeAt(0)).toBe("Order:running(a:scheduled)");
    expect(shapeAt(10)).toBe("Order:running(a:running(a1:running))");
    expect(shapeAt(20)).toBe("Order:running(a:running(a1:failed))");
    expect(shapeAt(50)).toBe("Order:running(a:running(a1:failed a2:running))");
    expect(shapeAt(100)).toBe("Order:running(a:completed(a1:failed a2:completed) t:running)");
    expect(shapeAt(505)).toBe(
      "Order:running(a:completed(a1:failed a2:completed) t:completed s:completed c:scheduled)",
    );
    expect(shapeAt(510)).toMatch(/c:running\)$/);
    expect(traceAt(trace, T0 + 600)).toBe(trace);
  });

  it("knows no error, end or token before its time", () => {
    const early = traceAt(trace, T0 + 50);
    expect([early.status, early.ended_at, early.duration_ms, early.event_count]).toEqual(["running", null, null, 3]);
    expect([early.root.error, early.root.token_usage]).toEqual([null, null]);
    expect(early.root.children[0]).toMatchObject({ ended_at: null, duration_ms: null, token_usage: null });
    // The attempt's usage counts when the attempt has ended, before its step has.
    expect(traceAt(trace, T0 + 90).root).toMatchObject(tokens);
  });

  it("keeps what did not change as it is", () => {
    expect(traceAt(trace, T0 + 200).root.children[0]).toBe(root.children[0]);
  });

  it("takes what history tells late as known late", () => {
    // The first attempt has no times: the second one's start told of its failure.
    const step = node("a", {
      scheduled_at: at(0),
      ended_at: at(90),
      children: [attempt("a", 1, { status: "failed" }), attempt("a", 2, { started_at: at(50), ended_at: at(80) })],
    });
    const of = { ...trace, root: { ...root, children: [step] } };
    expect(shape(traceAt(of, T0 + 49).root)).toBe("Order:running(a:scheduled)");
    expect(shape(traceAt(of, T0 + 50).root)).toBe("Order:running(a:running(a1:failed a2:running))");
  });

  it("takes a lost attempt as over when the next began, and what never ended as open", () => {
    const lost = node("a", {
      scheduled_at: at(0),
      ended_at: at(90),
      children: [
        attempt("a", 1, { status: "lost", started_at: at(5) }),
        attempt("a", 2, { started_at: at(50), ended_at: at(80) }),
      ],
    });
    const left = node("l", { status: "scheduled", left_open: true, scheduled_at: at(0) });
    const of = { ...trace, root: { ...root, children: [lost, left] } };
    expect(shape(traceAt(of, T0 + 49).root)).toBe("Order:running(a:running(a1:running) l:scheduled)");
    expect(shape(traceAt(of, T0 + 50).root)).toContain("a1:lost");
    expect(traceAt(of, T0 + 50).root.children[1]!.left_open).toBe(false);
    expect(traceAt(of, T0 + 600).root.children[1]!.left_open).toBe(true);
  });

  it("tells the state in numbers", () => {
    const { root: early } = traceAt(trace, T0 + 310);
    expect(stateOf(early)).toMatchObject({
      status: "running",
      ended: 1,
      failed: 0,
      attempts: 2,
      retries: 1,
      tokens: { prompt: 10, completion: 5 },
      cost: 0.5,
    });
    expect(stateOf(early).open.map((one) => one.name)).toEqual(["t"]);
    expect(stateOf(early).signals.map((one) => one.name)).toEqual(["s"]);
    expect(stateOf(root)).toMatchObject({ status: "failed", ended: 2, failed: 1, open: [] });
  });

  it("steps from event to event", () => {
    const moments = momentsOf(root);
    const walk: number[] = [];
    for (let now: number | undefined = T0 - 1; now !== undefined; now = stepFrom(moments, now, 1)) walk.push(now - T0);
    expect(walk).toEqual([-1, 0, 10, 20, 50, 90, 100, 300, 500, 510, 600]);
    expect(stepFrom(moments, T0 + 300, -1)).toBe(T0 + 100);
    expect(stepFrom(moments, T0 + 299, -1)).toBe(T0 + 100);
    expect(stepFrom(moments, T0, -1)).toBeUndefined();
    expect(happened(moments, T0 + 100).map(({ id, what }) => `${id} ${what}`)).toEqual([
      "activity:a:T:0 ended",
      "timer:1:timer:1 scheduled",
    ]);
  });

  it("stands in an address to the microsecond", () => {
    expect(writeMoment(Date.UTC(2026, 0, 1, 10) + 0.25)).toBe("2026-01-01T10:00:00.000250Z");
    expect(writeMoment(Date.UTC(2026, 0, 1, 10) + 999.9999)).toBe("2026-01-01T10:00:01.000000Z");
  });
});
