import { defineConfig } from "vitest/config";

// In a real browser against a real server: `cargo xtask test` runs it and says where both are.
export default defineConfig({
  test: { include: ["e2e/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 60_000, fileParallelism: false },
});
