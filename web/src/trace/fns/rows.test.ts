import { describe, expect, it } from "vitest";
import { attempt, node, run } from "./fixture";
import { RUN_ID, flatten, nextError, pathTo, reveal, setAll } from "./rows";

const tool = node("tool", { kind: "tool", role: "inner", event_key: "tool:b.1:x:1" });
const failed = attempt("c", 1, { status: "failed" });
const tree = run([
  node("a", { children: [attempt("a", 1)] }),
  node("b", { children: [attempt("b", 1, { children: [tool] })] }),
  node("c", { children: [failed, attempt("c", 2)] }),
  node("d", { status: "timed_out" }),
]);
const shape = (rows: ReturnType<typeof flatten>) => rows.map((row) => `${" ".repeat(row.depth)}${row.node.name}${row.node.attempt}`);

describe("rows", () => {
  it("lets a step stand for its only attempt and folds retries", () => {
    const rows = flatten(tree, new Map());
    expect(shape(rows)).toEqual(["Order1", " a0", " b0", "  tool0", " c0", " d0"]);
    expect(rows.map((row) => row.expandable)).toEqual([true, false, true, false, true, false]);
    expect(rows.map((row) => row.open)).toEqual([true, false, true, false, false, false]);
    expect(rows.map((row) => row.parent)).toEqual([undefined, RUN_ID, RUN_ID, "activity:b:T:0", RUN_ID, RUN_ID]);
  });

  it("opens and closes what the reader asked for", () => {
    const open = new Map([
      ["activity:c:T:0", true],
      ["activity:b:T:0", false],
    ]);
    expect(shape(flatten(tree, open))).toEqual(["Order1", " a0", " b0", " c0", "  c1", "  c2", " d0"]);
    expect(flatten(tree, setAll(tree, true))).toHaveLength(8);
    expect(shape(flatten(tree, setAll(tree, false)))).toEqual(["Order1", " a0", " b0", " c0", " d0"]);
    expect(flatten(tree, new Map([[RUN_ID, false]]))).toHaveLength(1);
  });

  it("finds the way to a row, and a folded attempt as its step", () => {
    const names = (id: string) => pathTo(tree, id).map((one) => one.name);
    expect(names("tool:b.1:x:1")).toEqual(["Order", "b", "tool"]);
    expect(names("activity:a:T:1")).toEqual(["Order", "a"]);
    expect(names("gone")).toEqual([]);
    const open = reveal(tree, "activity:c:T:1", setAll(tree, false));
    expect(flatten(tree, open).some((row) => row.id === "activity:c:T:1")).toBe(true);
  });

  it("goes from error to error and round again", () => {
    expect(nextError(tree, undefined)).toBe("activity:c:T:1");
    expect(nextError(tree, RUN_ID)).toBe("activity:c:T:1");
    expect(nextError(tree, "activity:c:T:1")).toBe("activity:d:T:0");
    expect(nextError(tree, "activity:d:T:0")).toBe("activity:c:T:1");
    expect(nextError(run([node("a")]), undefined)).toBeUndefined();
  });
});
