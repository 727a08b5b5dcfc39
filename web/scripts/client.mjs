// Writes src/api/schema.ts from the OpenAPI document that the server's tests keep as a snapshot.
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const snapshot = "../server/tests/cli/http/snapshots/cli__http__run__openapi.snap";
const text = await readFile(new URL(`../${snapshot}`, import.meta.url), "utf8");
// A snapshot begins with a header between two lines of dashes.
const document = JSON.parse(text.slice(text.indexOf("\n---\n") + 5));
const types = astToString(await openapiTS(document, { alphabetize: true }));
const note = "// Made by `cargo xtask web` from the server's OpenAPI document: do not edit.\n\n";
await writeFile(new URL("../src/api/schema.ts", import.meta.url), note + types);
