// A run in progress, on a real Temporal server, by a real worker that records it.
import { readFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Server, Temporal, accessible, launch, open } from "./support";

let browser: Browser;
let server: Server;
let temporal: Temporal;

beforeAll(async () => {
  browser = await launch();
  server = await Server.start([]);
  server.run("migrate");
  temporal = await Temporal.start(server);
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await temporal?.stop();
  await server?.stop();
});

const ID = "live/1";
const titles = (page: Page) => page.locator('[role="treeitem"] .row-title').allTextContents();

/** A mail that asks for more money than the desk may pay back without a person's word. */
function request(): string {
  const mail = readFileSync(new URL("../../worker-example/samples/03-refund-above-limit.txt", import.meta.url), "utf8");
  const [, from, subject, body] = /^From: (.*)\nSubject: (.*)\n\n([\s\S]*)$/.exec(mail)!;
  return JSON.stringify({ ticket: { id: "1", from, subject, body: body!.trim() }, approval_timeout_ms: 600_000 });
}

it("is seen as it goes, without a look at the page anew, until it ends", { timeout: 180_000 }, async () => {
  const list = await open(browser, server.url);
  await list.page.getByText("No run is recorded yet").waitFor();
  const start = ["workflow", "start", "--type", "OrderSupport", "--task-queue", "order-support", "--workflow-id", ID];
  temporal.cli(...start, "--input", request());
  // It comes by itself, and is opened while it runs.
  await list.page.getByRole("link", { name: ID }).click({ timeout: 60_000 });
  const { page } = list;
  await page.getByTitle("Rows come as they land").waitFor();
  await page.evaluate(() => Object.assign(window, { here: true }));
  const row = (name: string) => page.getByRole("treeitem").filter({ hasText: name });
  // A person is waited for.
  await row("timer").waitFor({ timeout: 60_000 });
  const before = await titles(page);
  expect(before).toContain("Model::classify");
  expect(before.some((title) => title.includes("approve"))).toBe(false);
  expect(await row("Outbox::publish").count()).toBe(0);
  await accessible(page, "a run that goes on");

  const approve = ["workflow", "signal", "--workflow-id", ID, "--name", "approve"];
  temporal.cli(...approve, "--input", JSON.stringify({ approved: true, by: "reviewer@example.com" }));
  await row("signal approve").waitFor();
  await row("Outbox::publish").waitFor();
  await page.getByText("▸ live").waitFor({ state: "detached" });
  await page.getByRole("banner").or(page.locator(".trace-head")).getByText("completed").first().waitFor();
  const after = await titles(page);
  expect(after).toEqual(expect.arrayContaining(before));
  // It is the page that was opened, and shows what is stored.
  expect(await page.evaluate(() => "here" in window)).toBe(true);
  await page.reload();
  await row("Outbox::publish").waitFor();
  expect(await titles(page)).toEqual(after);
  await list.close();
});
