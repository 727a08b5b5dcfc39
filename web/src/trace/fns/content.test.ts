import { describe, expect, it } from "vitest";
import type { Execution, Trace } from "../../api/client";
import { chainOf } from "./chain";
import { messagesOf, usageOf } from "./content";
import { T0, at, attempt, node, run } from "./fixture";
import { flatten } from "./rows";
import { rowsAsCsv, rowsAsJson } from "./table";

describe("content", () => {
  it("reads messages of the shapes in use, and shows others as they are", () => {
    const chat = { messages: [{ role: "system", content: "Be kind" }, { role: "user", content: [{ type: "text", text: "Hi" }] }] };
    expect(messagesOf([chat, "plain", { x: 1 }])).toEqual([
      { role: "system", text: "Be kind" },
      { role: "user", text: "Hi" },
      { role: undefined, text: "plain" },
      { role: undefined, text: '{\n  "x": 1\n}' },
    ]);
  });

  it("finds what used tokens, the most first, each once", () => {
    const used = (prompt: number, cost_usd?: number) => ({ token_usage: { prompt, completion: 0 }, cost_usd });
    const step = (name: string, prompt: number) =>
      node(name, { ...used(prompt), model: "m", children: [attempt(name, 1, used(prompt))] });
    const root = run([step("a", 1), step("b", 9), step("c", 4)], used(14));
    expect(usageOf(root).map((one) => [one.name, one.model, one.prompt])).toEqual([
      ["b, attempt 1", "m", 9],
      ["c, attempt 1", "m", 4],
      ["a, attempt 1", "m", 1],
    ]);
    expect(usageOf(root, 1).map((one) => [one.name, one.prompt])).toEqual([["b, attempt 1", 9], ["2 more", 5]]);
    // What nobody knows the price of does not cost nothing.
    expect(usageOf(root, 1).map((one) => one.cost)).toEqual([undefined, undefined]);
    expect(usageOf(run([step("a", 1), node("d", used(2, 0.5))]), 0)[0]!.cost).toBe(0.5);
    expect(usageOf(node("x"))).toEqual([]);
  });
});

describe("a chain", () => {
  const listed = (run_id: string, ms: number, trigger: string) =>
    ({ run_id, started_at: at(ms), trigger, status: "completed" }) as Execution;
  const trace = { run_id: "r2", started_at: at(10), trigger: "retry", status: "running", links: { previous_run: "r1", next_run: "r3" } } as Trace;

  it("is in the order of time, and says how one run came from another", () => {
    const chain = chainOf(trace, [listed("r3", 20, "continue_as_new"), listed("r2", 10, "retry"), listed("r1", 0, "client")]);
    expect(chain.map((one) => [one.run_id, one.by])).toEqual([["r1", undefined], ["r2", "retried"], ["r3", "continued"]]);
  });

  it("has what the links name, before the rest is known", () => {
    expect(chainOf(trace, []).map((one) => one.run_id)).toEqual(["r1", "r2", "r3"]);
  });
});

describe("files", () => {
  const root = run([node("=cmd|x", { status: "failed", error: { type: "E", message: 'said "no",\ntwice' }, scheduled_at: at(0) })]);
  const rows = flatten(root, new Map());

  it("writes no formula, and quotes what must be", () => {
    const csv = rowsAsCsv(rows);
    expect(csv.split("\r\n")[0]).toMatch(/^event_key,depth,kind/);
    expect(csv).toContain(`'=cmd|x`);
    expect(csv).toContain(`"said ""no"",\ntwice"`);
  });

  it("writes the rows that are shown", () => {
    const read = JSON.parse(rowsAsJson({ execution_id: "o", root } as Trace, rows)) as { rows: { scheduled_at: string }[] };
    expect(read.rows).toHaveLength(2);
    expect(Date.parse(read.rows[1]!.scheduled_at)).toBe(T0);
  });
});
