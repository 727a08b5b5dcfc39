// A server with imported histories, and a browser.
import { AxeBuilder } from "@axe-core/playwright";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
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

  static async start(histories = HISTORIES): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), "omnitrace-ui-"));
    for (const history of histories) importInto(folder, history);
    const child = spawn(given("OMNITRACE_BIN"), ["serve", "--listen", "127.0.0.1:0"], {
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

  /** Another command on the same store. */
  run(...command: string[]) {
    execFileSync(given("OMNITRACE_BIN"), command, { env: environment(this.folder), stdio: ["ignore", "ignore", "inherit"] });
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

const environment = (folder: string) => ({
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
