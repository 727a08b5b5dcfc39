// Writes each dashboard to dashboards/, or to the folder that is named.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import cost from "./cost.js";
import health from "./health.js";
import workload from "./workload.js";

const folder = process.argv[2] ?? fileURLToPath(new URL("../dashboards", import.meta.url));
mkdirSync(folder, { recursive: true });
for (const dashboard of [workload, cost, health]) {
  writeFileSync(join(folder, `${dashboard.uid}.json`), `${JSON.stringify(dashboard, null, 2)}\n`);
}
