// The replay works out a run at a moment from its final trace alone. The tests of the server keep what the
// tracker makes of the history up to that moment: both must be the same.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Trace, TraceNode } from "../../api/client";
import { parseTime } from "../../components/format";
import { stateOf, traceAt } from "./moment";

interface Expected {
  at: string;
  statuses: Record<string, string>;
  attempts: number;
  signals: number;
  tokens: { prompt: number; completion: number } | null;
}

function sealed(history: string): [Trace, Expected[]] {
  const path = `../server/tests/cli/snapshots/cli__moments__${history}.snap`;
  const text = readFileSync(path, "utf8");
  // A snapshot begins with a header between two lines of dashes.
  const [trace, ...moments] = text
    .slice(text.indexOf("\n---\n") + 5)
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  return [trace as Trace, moments as Expected[]];
}

function shownAt(trace: Trace, at: string): Expected {
  const { root } = traceAt(trace, parseTime(at)!);
  const statuses: Record<string, string> = {};
  const visit = (node: TraceNode) => {
    statuses[node.event_key] = node.status;
    node.children.forEach(visit);
  };
  visit(root);
  const { attempts, signals } = stateOf(root);
  return { at, statuses, attempts, signals: signals.length, tokens: root.token_usage ?? null };
}

describe.each(["order_support", "cancellations", "local_activities", "updates"])("the replay of %s", (history) => {
  const [trace, moments] = sealed(history);

  it("is at each moment what the tracker says of the history cut there", () => {
    expect(moments.length).toBeGreaterThan(3);
    expect(moments.map(({ at }) => shownAt(trace, at))).toEqual(moments);
  });
});

it("is compared at 20 moments of a run and more", () => {
  const [, moments] = sealed("order_support");
  expect(moments.length).toBeGreaterThanOrEqual(20);
  // Each step is seen in several states on the way.
  const seen = new Set(moments.flatMap(({ statuses }) => Object.values(statuses)));
  expect([...seen].sort()).toEqual(["canceled", "completed", "failed", "running", "scheduled"]);
});
