// The pictures of the guide, drawn of what the pages are. `cargo xtask web --screenshots` runs it.
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, it } from "vitest";
import { History } from "./history";
import { Server, launch, type Look } from "./support";

const IMAGES = new URL("../../docs/images/", import.meta.url).pathname;
/** The moment at which the pictures are taken: `2 minutes ago` stays so. */
const NOW = Date.UTC(2026, 10, 21, 17, 10);

let browser: Browser;
let server: Server;

beforeAll(async () => {
  browser = await launch();
  server = await Server.start([]);
  server.import("order_support");
  record();
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** A day of a shop. */
function record() {
  const runs: History[] = [];
  const usage = (prompt_tokens: number, completion_tokens: number) => ({ model: "gpt-4o-mini", usage: { prompt_tokens, completion_tokens } });
  for (let n = 0; n < 40; n += 1) {
    const begin = NOW - (40 - n) ** 2 * 50_000 - 90_000;
    const type = ["Order", "Refund", "Support"][n % 3]!;
    const run = new History({ workflowId: `${type.toLowerCase()}-${1042 + n}`, runId: `run-${n}`, type, begin });
    run.activity("Stock::reserve", { ms: 20 + (n % 7) * 10 });
    if (type === "Support") run.activity("Model::draft", { ms: 900 + n * 13, output: usage(310 + n, 90 + n) });
    if (n % 5 === 3) run.activity("Payment::charge", { ms: 180, attempt: 2 });
    if (n === 39) runs.push(run.timer("3", 400));
    else if (n % 11 === 4) runs.push(run.activity("Payment::charge", { ms: 60, error: "CardClosed" }).fail("CardClosed", "the card is closed"));
    else runs.push(run.activity("Parcel::send", { ms: 40 + (n % 4) * 30 }).complete());
  }
  const chain = (n: number) => ({ workflowId: "nightly", runId: `nightly-${n}`, type: "Nightly", begin: NOW - 7_200_000 + n * 1_800_000 });
  for (let n = 0; n < 3; n += 1) {
    const run = new History({ ...chain(n), ...(n > 0 && { continuedFrom: `nightly-${n - 1}` }) }).activity("Report::page", { ms: 300 }).timer("1", 1_700_000);
    runs.push(n < 2 ? run.continueAsNew(`nightly-${n + 1}`) : run.complete());
  }
  server.record(...runs);
}

async function picture(name: string, url: string, reach: (page: Page) => Promise<void>, { width = 1280, dark = false }: Look = {}) {
  const context = await browser.newContext({
    viewport: { width, height: 720 },
    colorScheme: dark ? "dark" : "light",
    locale: "en-GB",
    timezoneId: "UTC",
  });
  const page = await context.newPage();
  await page.clock.setFixedTime(NOW);
  await page.goto(`${server.url}${url}`);
  await reach(page);
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: join(IMAGES, `${name}.png`), animations: "disabled", caret: "hide" });
  await context.close();
}

const trace = (more: Record<string, string> = {}, id = "order-support-1") => `/trace?${new URLSearchParams({ id, ...more })}`;
const rows = (page: Page) => page.getByRole("treeitem").nth(1).waitFor();
const KNOWLEDGE = "activity:4:Search::knowledge:0";
const MOMENT = "2026-11-21T16:56:23.900000Z";

it("draws the guide", async () => {
  await picture("executions", "/", async (page) => {
    await page.getByRole("link", { name: "nightly" }).first().waitFor();
    await page.getByRole("img").nth(1).waitFor();
  });
  await picture("trace", trace({ row: KNOWLEDGE, path: "on" }), async (page) => {
    await rows(page);
    await page.getByRole("complementary").getByText("Attempts").waitFor();
  });
  await picture("replay", trace({ at: MOMENT }), (page) => page.getByRole("group", { name: "Replay" }).waitFor());
  await picture("prompts", trace({ row: "activity:6:Model::draft:0" }), async (page) => {
    await page.getByRole("button", { name: /Read prompts/ }).click();
    await page.getByRole("dialog").waitFor();
  });
  await picture("search", trace({ q: "search" }), async (page) => {
    await rows(page);
    await page.getByText("Filter ▾").click();
  });
  await picture("chain", trace({ run: "nightly-1" }, "nightly"), (page) => page.getByRole("link", { name: "run 3" }).waitFor());
  await picture("compare", `/compare?${new URLSearchParams({ a: "support-1077", b: "support-1068" })}`, (page) =>
    page.getByText("steps differ").waitFor(),
  );
  await picture("dark", trace({ row: KNOWLEDGE }), rows, { dark: true });
  await picture("narrow", trace({ at: MOMENT }), rows, { width: 400 });
});
