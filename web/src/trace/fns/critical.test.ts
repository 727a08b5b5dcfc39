import { describe, expect, it } from "vitest";
import { T0, at, attempt, node, run } from "./fixture";
import { criticalPath } from "./critical";

const path = (root: ReturnType<typeof run>, until = T0 + 1000) =>
  Object.fromEntries([...criticalPath(root, until)].map(([id, parts]) => [id, parts.map((p) => `${p.from - T0}-${p.to - T0}`)]));
const key = (name: string) => `activity:${name}:T:0`;

describe("the critical path", () => {
  it("goes back from the end through what ended last", () => {
    const root = run(
      [
        node("a", { scheduled_at: at(10), ended_at: at(50) }),
        // Ended before `a`, so nothing waited for it.
        node("b", { scheduled_at: at(10), ended_at: at(30) }),
        node("c", { scheduled_at: at(50), ended_at: at(90) }),
      ],
      { started_at: at(0), ended_at: at(100) },
    );
    expect(path(root)).toEqual({ run: ["0-10", "90-100"], [key("a")]: ["10-50"], [key("c")]: ["50-90"] });
  });

  it("goes into what has parts, and leaves out what was still open", () => {
    const root = run(
      [
        node("a", {
          scheduled_at: at(0),
          ended_at: at(100),
          children: [
            attempt("a", 1, { started_at: at(10), ended_at: at(40), status: "failed" }),
            attempt("a", 2, { started_at: at(60), ended_at: at(95) }),
          ],
        }),
        node("left", { status: "running", left_open: true, scheduled_at: at(5) }),
      ],
      { started_at: at(0), ended_at: at(100) },
    );
    expect(path(root)).toEqual({
      run: [],
      [key("a")]: ["0-10", "40-60", "95-100"],
      "activity:a:T:1": ["10-40"],
      "activity:a:T:2": ["60-95"],
    });
  });

  it("covers the time of a run once", () => {
    const root = run(
      Array.from({ length: 50 }, (_, n) => node(`${n}`, { scheduled_at: at((n * 37) % 400), ended_at: at(((n * 37) % 400) + 10 + n) })),
      { started_at: at(0), ended_at: at(500) },
    );
    const parts = [...criticalPath(root, T0).values()].flat().sort((a, b) => a.from - b.from);
    expect(parts[0]!.from).toBe(T0);
    expect(parts.at(-1)!.to).toBe(T0 + 500);
    for (let n = 1; n < parts.length; n += 1) expect(parts[n]!.from).toBe(parts[n - 1]!.to);
  });
});
