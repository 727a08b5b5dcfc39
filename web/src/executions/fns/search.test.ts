import { describe, expect, it } from "vitest";
import { isNarrowed, readSearch, toggleStatus } from "./search";

describe("search", () => {
  it("keeps what it knows", () => {
    expect(readSearch({ text: "a b", status: "", min_cost_usd: "1", page: "2", type: 7 })).toEqual({
      text: "a b",
      min_cost_usd: "1",
    });
  });

  it("adds and takes away a status", () => {
    const one = toggleStatus({ text: "x" }, "failed");
    expect(one).toEqual({ text: "x", status: "failed" });
    const two = toggleStatus(one, "running");
    expect(two.status).toBe("failed,running");
    expect(toggleStatus(toggleStatus(two, "failed"), "running").status).toBeUndefined();
  });

  it("knows whether anything is left out", () => {
    expect(isNarrowed({})).toBe(false);
    expect(isNarrowed({ status: undefined, since: "2h" })).toBe(true);
  });
});
