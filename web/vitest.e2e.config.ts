import { defineConfig } from "vitest/config";

/** What is run where: the tests, the pictures of the guide, and what is measured. */
const FILES: Record<string, string> = { pictures: "e2e/**/*.pictures.ts", bench: "bench/**/*.bench.ts" };

// In a real browser against a real server: `cargo xtask` runs it and says where both are.
export default defineConfig(({ mode }) => ({
  test: { include: [FILES[mode] ?? "e2e/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 60_000, fileParallelism: false },
}));
