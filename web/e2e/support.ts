// A server with imported histories, and a browser.
import { AxeBuilder } from "@axe-core/playwright";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium, type Browser, type Page } from "playwright-core";
import { expect } from "vitest";
import type { History } from "./history";

export const given = (name: string) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run \`cargo xtask test\``);
  return value;
};

export const HISTORIES = ["cancellations", "local_activities", "order_support", "reset"];

/** `omnitrace serve` on a store of its own. */
export class Server {
  private constructor(
    private readonly folder: string,
    private readonly child: ChildProcess,
    readonly url: string,
  ) {}

  static async start(histories = HISTORIES, options: string[] = []): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), "omnitrace-ui-"));
    for (const history of histories) importInto(folder, history);
    // Whoever asks needs one.
    if (options.includes("--require-token")) {
      const first = ["token", "create", "--name", "first", "--tenant", "*", "--namespace", "*"];
      execFileSync(given("OMNITRACE_BIN"), first, { env: environment(folder), stdio: ["ignore", "ignore", "inherit"] });
    }
    const child = spawn(given("OMNITRACE_BIN"), ["serve", "--listen", "127.0.0.1:0", ...options], {
      env: environment(folder),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(createInterface(child.stdout!), "line")) as [string];
    const url = /http:\/\/\S+/.exec(line)?.[0];
    if (!url) throw new Error(`the server said ${line}`);
    return new Server(folder, child, url);
  }

  /** Records a run while the server runs; under another workflow id, if one is given. */
  import(history: string, workflowId?: string) {
    importInto(this.folder, history, workflowId);
  }

  /** What another command on the same store prints. */
  run(...command: string[]): string {
    return execFileSync(given("OMNITRACE_BIN"), command, { env: this.environment, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  }

  /** What a program needs to work on the same store. */
  get environment(): Record<string, string> {
    return environment(this.folder);
  }

  /** Records a history that was made up. */
  record(...histories: History[]) {
    for (const history of histories) importText(this.folder, JSON.stringify(history));
  }

  dropDatabase() {
    rmSync(join(this.folder, "omnitrace.db"));
  }

  async stop() {
    this.child.kill("SIGTERM");
    if (this.child.exitCode === null) await once(this.child, "exit");
    rmSync(this.folder, { recursive: true });
  }
}

/** Temporal's development server, and the example worker, which records into the store of a server of ours. */
export class Temporal {
  private readonly children: ChildProcess[] = [];
  private address = "";

  static async start(server: Server): Promise<Temporal> {
    const temporal = new Temporal();
    temporal.address = `127.0.0.1:${await freePort()}`;
    const dev = ["server", "start-dev", "--headless", "--ip", "127.0.0.1", "--log-level", "error"];
    temporal.spawn(given("TEMPORAL_BIN"), [...dev, "--port", temporal.address.split(":")[1]!], temporal.environment);
    await eventually("the server has its namespace", () => temporal.cli("operator", "namespace", "describe", "--namespace", "default"));
    const worker = ["worker", "--address", temporal.address];
    temporal.spawn(given("WORKER_BIN"), worker, { ...server.environment, OMNITRACE_FLUSH_MS: "50" });
    return temporal;
  }

  /** Runs Temporal's command line. */
  cli(...command: string[]): string {
    const args = [...command, "--address", this.address];
    return execFileSync(given("TEMPORAL_BIN"), args, { env: this.environment, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }

  /** None of the user's settings. */
  private get environment() {
    return { PATH: given("PATH"), HOME: tmpdir() };
  }

  async stop() {
    for (const child of this.children.reverse()) {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
    }
  }

  private spawn(program: string, args: string[], env: Record<string, string>) {
    this.children.push(spawn(program, args, { env, stdio: ["ignore", "ignore", "inherit"] }));
  }
}

/** A port that nobody has at this moment. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Tries again until it does not fail. */
async function eventually<T>(what: string, attempt: () => T): Promise<T> {
  const until = Date.now() + 60_000;
  for (;;) {
    try {
      return attempt();
    } catch (error) {
      if (Date.now() > until) throw new Error(`waited in vain until ${what}`, { cause: error });
      await new Promise((again) => setTimeout(again, 100));
    }
  }
}

const environment = (folder: string): Record<string, string> => ({
  PATH: given("PATH"),
  OMNITRACE_CAPTURE_CONTENT: "true",
  OMNITRACE_CATEGORIES: "model=Model::*",
  OMNITRACE_MAX_EVENTS_PER_RUN: "100000",
  OMNITRACE_DATABASE_URL: `sqlite://${join(folder, "omnitrace.db")}`,
});

function importInto(folder: string, history: string, workflowId?: string) {
  const file = new URL(`../../tests/it/history/fixtures/${history}.json`, import.meta.url);
  let input = readFileSync(file, "utf8");
  if (workflowId) input = input.replaceAll(/("workflowId": *)"[^"]*"/g, (_, name) => name + JSON.stringify(workflowId));
  importText(folder, input);
}

const importText = (folder: string, input: string) =>
  execFileSync(given("OMNITRACE_BIN"), ["import", "-"], { env: environment(folder), input });

export const launch = (): Promise<Browser> =>
  chromium.launch({ executablePath: given("CHROMIUM"), args: ["--no-sandbox"] });

export interface Look {
  width?: number;
  dark?: boolean;
}

/** A page that fails the test with what the browser complains about. */
export async function open(browser: Browser, url: string, { width = 1280, dark = false }: Look = {}) {
  const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme: dark ? "dark" : "light" });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  // A problem that the server answers is shown by the page, and noted by the browser.
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of (400|401|403|404|503)/.test(message.text())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("dialog", (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(url);
  return { page, close: async () => { expect(complaints).toEqual([]); await context.close(); } };
}

/** What WCAG 2.2 AA finds wrong, as far as a program can tell. */
export async function accessible(page: Page, state: string) {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  const { violations } = await new AxeBuilder({ page }).withTags(tags).analyze();
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
  expect(found, state).toEqual([]);
}

/** Nothing reaches beyond the right edge. */
export async function fits(page: Page, state: string) {
  const [wide, there] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  expect(wide, state).toBeLessThanOrEqual(there!);
}
