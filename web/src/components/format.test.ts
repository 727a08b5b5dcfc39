import { describe, expect, it } from "vitest";
import { ago, dollars, duration, parseTime } from "./format";

describe("format", () => {
  it("keeps two units of a duration and never rounds up", () => {
    const cases: [number, string][] = [
      [-5, "0ms"],
      [999.9, "999ms"],
      [1999, "1.99s"],
      [59_999, "59.9s"],
      [3_599_999, "59m59s"],
      [86_399_999, "23h59m"],
      [97 * 3_600_000, "4d01h"],
    ];
    for (const [ms, text] of cases) expect(duration(ms)).toBe(text);
  });

  it("reads microseconds", () => {
    expect(parseTime("2026-01-01T10:00:00.000250Z")).toBe(Date.UTC(2026, 0, 1, 10) + 0.25);
    expect(parseTime("2026-01-01T10:00:00.125Z")).toBe(Date.UTC(2026, 0, 1, 10, 0, 0, 125));
    expect(parseTime(null)).toBeUndefined();
    expect(parseTime("soon")).toBeUndefined();
  });

  it("tells how long ago", () => {
    const now = Date.UTC(2026, 0, 2);
    expect(ago("2026-01-01T23:59:59.500Z", now)).toBe("just now");
    expect(ago("2026-01-01T23:58:00Z", now)).toBe("2m ago");
    expect(ago("2025-12-30T00:00:00Z", now)).toBe("3d ago");
    expect(ago(undefined, now)).toBe("–");
  });

  it("shows small amounts", () => {
    expect([0, 12.345, 0.0123, 0.00000123].map(dollars)).toEqual(["$0.00", "$12.35", "$0.0123", "$1.2e-6"]);
  });
});
