import { describe, expect, it } from "vitest";
import { attempt, node, run } from "./fixture";
import { flatten } from "./rows";
import { errorsFirst, foundIn, keep, kindOf, matcher, occurring, type View } from "./view";
import { panned, zoomed } from "./zoom";

const tool = node("search", { kind: "tool", role: "inner", event_key: "tool:b.1:search:1", duration_ms: 5 });
const root = run([
  node("a", { duration_ms: 100, children: [attempt("a", 1)] }),
  node("b", { category: "model", duration_ms: 900, children: [attempt("b", 1, { children: [tool] })] }),
  node("c", {
    status: "failed",
    error: { type: "TimeoutFailure", message: "too slow" },
    children: [attempt("c", 1, { status: "timed_out" }), attempt("c", 2, { status: "failed" })],
  }),
]);
const shown = (view: View) => {
  const kept = keep(root, matcher(view)!);
  return { rows: flatten(root, new Map(), kept).map((row) => row.node.name + row.node.attempt), found: foundIn(kept) };
};

describe("a view", () => {
  it("keeps what is above of what it finds", () => {
    expect(shown({ q: "SEARCH tool" })).toEqual({ rows: ["Order1", "b0", "search0"], found: 1 });
    expect(shown({ q: "slow" })).toEqual({ rows: ["Order1", "c0"], found: 1 });
    expect(shown({ q: "nothing" })).toEqual({ rows: ["Order1"], found: 0 });
  });

  it("filters by status, kind and duration, all at once", () => {
    expect(shown({ status: "timed_out" })).toEqual({ rows: ["Order1", "c0", "c1"], found: 1 });
    expect(shown({ kind: "model,tool" }).found).toBe(2);
    expect(shown({ min_ms: "100" }).rows).toEqual(["Order1", "a0", "b0"]);
    expect(shown({ min_ms: "100", kind: "activity" }).rows).toEqual(["Order1", "a0"]);
    expect(matcher({ at: "x", fold: "off", min_ms: "soon", q: " " })).toBeUndefined();
  });

  it("names kinds by what they are", () => {
    expect(kindOf(tool)).toBe("tool");
    expect(occurring(root)).toEqual({ kinds: ["activity", "model", "tool"], statuses: ["completed", "failed", "timed_out"] });
  });

  it("puts what failed first and leaves attempts in their order", () => {
    const sorted = errorsFirst(root);
    expect(sorted.children.map((one) => one.name)).toEqual(["c", "a", "b"]);
    expect(sorted.children[0]).toBe(root.children[2]);
    const well = run([node("a")]);
    expect(errorsFirst(well)).toBe(well);
  });

  it("zooms inside the run", () => {
    const range = { from: 0, to: 100 };
    expect(zoomed(panned(range, 0.5, 0), range)).toEqual({ from: 25, to: 75 });
    expect(zoomed(panned({ from: 25, to: 75 }, 1, 1), range)).toEqual({ from: 50, to: 100 });
    expect(zoomed(panned({ from: 25, to: 75 }, 2, 0), range)).toBeUndefined();
    expect(zoomed(panned(range, 0.5, 0, 80), range)).toEqual({ from: 40, to: 90 });
    expect(zoomed({ from: 5, to: 5 }, range)).toEqual({ from: 5, to: 5.01 });
  });
});
