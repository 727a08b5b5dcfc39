import { describe, expect, it } from "vitest";
import { partsOf, pieces } from "./json";

describe("json", () => {
  it("tells hashes from the rest", () => {
    const all = pieces({ email: "sha256:973dfe463ec85785", n: 1 });
    expect(all.filter((piece) => piece.hash).map((piece) => piece.text)).toEqual(['"sha256:973dfe463ec85785"']);
    expect(JSON.parse(all.map((piece) => piece.text).join(""))).toEqual({ email: "sha256:973dfe463ec85785", n: 1 });
  });

  it("takes data apart and leaves out what redaction says of itself", () => {
    const data = { output: 2, input: [1], local: true, _redaction: { hashed: 1 } };
    expect(partsOf(data)).toEqual([
      ["Input", [1]],
      ["Output", 2],
      ["Attributes", { local: true }],
    ]);
    expect(partsOf("text")).toEqual([["Data", "text"]]);
    expect(partsOf(null)).toEqual([]);
  });
});
