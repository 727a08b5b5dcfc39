import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2023",
    // One file each: the page needs all of it at once.
    rollupOptions: { output: { manualChunks: undefined } },
    // No inline data: URLs, so that the content security policy stays narrow.
    assetsInlineLimit: 0,
    modulePreload: false,
  },
  // `npm run dev` shows what `omnitrace serve` answers.
  server: { proxy: Object.fromEntries(["/executions", "/stats", "/me"].map((path) => [path, "http://127.0.0.1:8234"])) },
  test: { environment: "jsdom", include: ["src/**/*.test.{ts,tsx}"], restoreMocks: true },
});
