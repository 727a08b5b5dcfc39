import { readFileSync, readdirSync } from "node:fs";
import { expect, it } from "vitest";

const files = readdirSync("src", { recursive: true, encoding: "utf8" }).map((file) => `src/${file}`);

it("has no component of more than 300 lines", () => {
  const components = files.filter((file) => file.endsWith(".tsx"));
  expect(components.length).toBeGreaterThan(20);
  expect(components.filter((file) => readFileSync(file, "utf8").split("\n").length > 300)).toEqual([]);
});

it("has its colours in the design tokens alone", () => {
  const styles = files.filter((file) => file.endsWith(".css") && !file.endsWith("tokens.css"));
  expect(styles.length).toBeGreaterThan(3);
  expect(styles.filter((file) => /#[0-9a-f]{3,8}\b/i.test(readFileSync(file, "utf8")))).toEqual([]);
});
