// Writes bundle.sha256: the sources that the bundle was made of, and the bundle, in the format of
// sha256sum. A test without node compares it with what is there.
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";

const root = new URL("../", import.meta.url);
const single = [
  "../server/tests/cli/http/snapshots/cli__http__run__openapi.snap",
  "index.html",
  "package-lock.json",
  "package.json",
  "tsconfig.json",
  "vite.config.ts",
];
const inside = async (folder) =>
  (await readdir(new URL(`${folder}/`, root), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath ?? entry.path}/${entry.name}`)
    .map((path) => path.slice(path.indexOf(`/web/${folder}`) + 5).replace(/\/+/g, "/"));
const files = [...single];
for (const folder of ["dist", "scripts", "src"]) files.push(...(await inside(folder)));
const lines = await Promise.all(
  files.sort().map(async (file) => {
    const bytes = await readFile(new URL(file, root));
    return `${createHash("sha256").update(bytes).digest("hex")}  ${file}\n`;
  }),
);
await writeFile(new URL("bundle.sha256", root), lines.join(""));
