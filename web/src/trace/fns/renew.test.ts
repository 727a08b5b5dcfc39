import { expect, it, vi } from "vitest";
import type { Trace, TraceNode, TraceQuery } from "../../api/client";
import { attempt, node, run } from "./fixture";
import { joined, partsOf } from "./renew";

const COUNT = 300;
const step = (n: number, given: Partial<TraceNode> = {}) => node(`${n}`, { children: [attempt(`${n}`, 1)], ...given });
const steps = (count: number) => Array.from({ length: count }, (_, n) => step(n));
const trace = (root: TraceNode, given: Partial<Trace> = {}) =>
  ({ execution_id: "w", run_id: "r", namespace: "n", status: "running", root, ...given }) as Trace;
const key = (n: number | string, attempt = 0) => `activity:${n}:T:${attempt}`;
const parts = (...changed: string[]) => partsOf(run(steps(COUNT)), new Set(changed));

it("asks for the end where something was added, and a little before", () => {
  expect(parts(key("new"))).toEqual({ steps: [], after: COUNT - 11 });
  expect(parts(key(COUNT - 40, 2))).toEqual({ steps: [], after: COUNT - 41 });
  expect(parts(key(COUNT - 40, 1), key("new"))).toEqual({ steps: [], after: COUNT - 41 });
});

it("asks for a few early steps one by one, and for all of it if they are many", () => {
  expect(parts(key(3, 2), key(3), key(7))).toEqual({ steps: [3, 7], after: COUNT - 11 });
  expect(parts(...[1, 2, 3, 4, 5].map((n) => key(n)))).toBeUndefined();
  expect(partsOf(run(steps(5)), new Set([key("new")]))).toBeUndefined();
});

/** Answers as the server does, of this tree. */
function server(now: TraceNode, given: Partial<Trace> = {}) {
  return vi.fn(({ after, event_key }: TraceQuery) => {
    if (event_key) return Promise.resolve(trace(now.children.find((child) => child.event_key === event_key)!, given));
    const from = now.children.findIndex((child) => child.event_key === after) + 1;
    return Promise.resolve(trace({ ...now, children: now.children.slice(from) }, given));
  });
}

it("joins what it asked for with what it has", async () => {
  const before = trace(run(steps(COUNT)));
  const children = steps(COUNT + 2);
  children[3] = step(3, { status: "failed", children: [attempt("3", 1), attempt("3", 2)] });
  const now = run(children, { cost_usd: 7 });
  const changed = new Set([key(3), key(3, 2), key(COUNT), key(COUNT + 1, 1)]);
  const ask = server(now);
  const next = await joined(before, partsOf(before.root, changed)!, changed, ask);
  expect(next).toEqual(trace(now));
  // What did not change is what it was, so that nothing of it is drawn anew.
  expect(next!.root.children[4]).toBe(before.root.children[4]);
  expect(ask).toHaveBeenCalledTimes(2);
  expect(ask.mock.calls.every(([query]) => query.run_id === "r" && query.namespace === "n")).toBe(true);
});

it("says so if the parts do not hold what changed, or the run ended", async () => {
  const before = trace(run(steps(COUNT)));
  const inFront = run([node("new"), ...steps(COUNT)]);
  const changed = new Set([key("new")]);
  const asked = partsOf(before.root, changed)!;
  expect(await joined(before, asked, changed, server(inFront))).toBeUndefined();
  const ended = server(run([...steps(COUNT), node("new")]), { status: "completed" });
  expect(await joined(before, asked, changed, ended)).toBeUndefined();
});
