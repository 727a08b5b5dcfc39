// The web UI in a real browser, as a person uses it, with runs read from real histories.
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { History } from "./history";
import { HISTORIES, Server, accessible, fits, launch, open, type Look } from "./support";

let browser: Browser;
let server: Server;

beforeAll(async () => {
  browser = await launch();
  server = await Server.start();
  const chained = (n: number) =>
    new History({
      workflowId: "chained",
      runId: `chained-${n}`,
      begin: Date.UTC(2026, 0, 1, 10 + n),
      continuedFrom: n > 0 ? `chained-${n - 1}` : undefined,
    });
  server.record(chained(0).continueAsNew("chained-1"), chained(1).activity("A").continueAsNew("chained-2"), chained(2).complete());
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

const trace = (id: string) => `${server.url}/trace?${new URLSearchParams({ id })}`;

describe("executions", () => {
  it("shows a new run by itself", async () => {
    const { page, close } = await open(browser, server.url);
    await page.getByRole("link", { name: "reset-1" }).waitFor();
    const before = await page.locator("tbody tr").count();
    expect(before).toBe(HISTORIES.length + 3);
    server.import("updates");
    await page.getByRole("link", { name: "updates-1" }).waitFor();
    expect(await page.getByRole("button", { name: /^all/ }).textContent()).toBe(`all${before + 1}`);
    await close();
  });

  it("keeps filters in the address", async () => {
    const { page, close } = await open(browser, server.url);
    await page.getByRole("link", { name: "reset-1" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("local");
    await page.waitForURL(/\?text=local$/);
    await page.getByRole("link", { name: "reset-1" }).waitFor({ state: "detached" });
    await page.reload();
    await page.getByRole("link", { name: "local-activities-1" }).waitFor();
    expect(await page.locator("tbody tr").count()).toBe(1);
    await page.getByRole("button", { name: /completed/ }).click();
    await page.waitForURL(/status=completed/);
    await page.getByRole("button", { name: "More filters" }).click();
    await page.getByLabel("Error type").fill("None*");
    await page.getByText("No run matches").waitFor();
    await page.getByRole("button", { name: "Clear" }).click();
    await page.getByRole("link", { name: "reset-1" }).waitFor();
    expect(new URL(page.url()).search).toBe("");
    await close();
  });

  it("opens a run by the keyboard, and comes back", async () => {
    const { page, close } = await open(browser, `${server.url}/?type=Locals`);
    await page.getByRole("link", { name: "local-activities-1" }).waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.getByRole("tree").waitFor();
    await page.goBack();
    await page.getByRole("link", { name: "local-activities-1" }).waitFor();
    expect(page.url()).toContain("type=Locals");
    await close();
  });
});

describe("a chain", () => {
  it("is walked by its strip and by the keyboard", async () => {
    const { page, close } = await open(browser, trace("chained"));
    const here = page.locator('.chain [aria-current="page"]');
    await here.filter({ hasText: "run 3" }).waitFor();
    await page.keyboard.press("[");
    await here.filter({ hasText: "run 2" }).waitFor();
    expect(page.url()).toContain("run=chained-1");
    await page.getByRole("link", { name: "run 1" }).click();
    await here.filter({ hasText: "run 1" }).waitFor();
    await page.keyboard.press("]");
    await here.filter({ hasText: "run 2" }).waitFor();
    await close();
  });
});

describe("trace", () => {
  it("is walked by the keyboard, and each row has an address", async () => {
    const { page, close } = await open(browser, trace("local-activities-1"));
    const active = page.locator('[role="treeitem"][aria-selected="true"]');
    await page.getByRole("treeitem").first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    const name = await active.locator(".row-title").textContent();
    await page.keyboard.press("Enter");
    const panel = page.getByRole("complementary");
    await panel.waitFor();
    await page.waitForURL(/row=/);
    await page.reload();
    await panel.waitFor();
    expect(await active.locator(".row-title").textContent()).toBe(name);
    const before = page.url();
    await page.keyboard.press("G");
    await page.waitForURL((url) => url.href !== before && url.searchParams.has("row"));
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "detached" });
    expect(page.url()).not.toContain("row=");
    await close();
  });

  it("folds retries into their step, and opens them with their errors", async () => {
    const { page, close } = await open(browser, trace("local-activities-1"));
    const retried = page.getByRole("treeitem").filter({ hasText: /\d attempts/ }).first();
    await retried.waitFor();
    const attempts = page.getByRole("treeitem").filter({ hasText: "attempt 1" });
    expect(await attempts.count()).toBe(0);
    await page.getByRole("button", { name: "Next error" }).click();
    await attempts.first().waitFor();
    expect(await page.getByRole("complementary").locator(".failure").count()).toBe(1);
    await page.getByText("Show ▾").click();
    await page.getByRole("button", { name: "Collapse all" }).click();
    await attempts.first().waitFor({ state: "detached" });
    await close();
  });

  it("shows markup in an id as text", async () => {
    const id = `<img src=x onerror="alert(1)">/ü 'x' ${"y".repeat(950)}`;
    server.import("updates", id);
    const list = await open(browser, server.url);
    await list.page.getByRole("link", { name: id }).click();
    await list.page.getByRole("heading", { name: id }).waitFor();
    expect(await list.page.locator("img").count()).toBe(0);
    await fits(list.page, "a long id");
    await list.close();
  });
});

const LOOKS: [string, Look][] = [
  ["light", {}],
  ["dark", { dark: true }],
  ["narrow", { width: 400 }],
];

describe.each(LOOKS)("%s", (name, look) => {
  it("is accessible and fits in every state", { timeout: 400_000 }, async () => {
    const states: [string, string, () => Promise<void>][] = [];
    const { page, close } = await open(browser, server.url, look);
    const state = (what: string, url: string, reach: () => Promise<void>) => states.push([what, url, reach]);
    state("a list", server.url, () => page.getByRole("link", { name: "reset-1" }).waitFor());
    state("an empty list", `${server.url}/?text=nothing`, () => page.getByText("No run matches").waitFor());
    state("a wrong filter", `${server.url}/?since=soon`, () => page.getByRole("alert").waitFor());
    state("a trace", trace("local-activities-1"), () => page.getByRole("treeitem").first().waitFor());
    state("details", `${trace("local-activities-1")}&row=run`, () => page.getByRole("complementary").getByText("Output").first().waitFor());
    const rows = () => page.getByRole("treeitem").first().waitFor();
    const support = `${trace("order-support-1")}&path=on&at=2026-11-21T16:56:23.900000Z`;
    state("a replay", support, () => page.getByRole("group", { name: "Replay" }).waitFor());
    state("nothing found", `${trace("order-support-1")}&q=nowhere`, () => page.getByText("0 found").waitFor());
    state("an error's details", `${trace("order-support-1")}&row=activity:4:Search::knowledge:1`, () => page.locator(".failure").first().waitFor());
    state("a menu", trace("order-support-1"), async () => {
      await rows();
      await page.getByText("Filter ▾").click();
      await page.getByRole("group", { name: "Status" }).waitFor();
    });
    state("a drawer", `${trace("order-support-1")}&row=activity:6:Model::draft:0`, async () => {
      await page.getByRole("button", { name: /Read prompts/ }).click();
      await page.getByRole("dialog").waitFor();
    });
    state("a chain", `${trace("chained")}&run=chained-1`, () => page.getByRole("link", { name: "run 3" }).waitFor());
    state("the keyboard", trace("cancellations-1"), async () => {
      await page.getByRole("treeitem").first().waitFor();
      await page.keyboard.press("?");
      await page.getByRole("dialog").waitFor();
    });
    state("no such run", trace("gone"), () => page.getByRole("alert").waitFor());
    state("no such page", `${server.url}/nowhere`, () => page.getByText("There is no such page").waitFor());
    // What the server would say to somebody it does not know, or whom it knows too well; and nothing at all.
    const answers = (status: number) => ({ status, contentType: "application/problem+json", body: JSON.stringify({ title: "No", detail: "because" }) });
    for (const [address, title, what] of [["/?text=401", "A token is needed", "no token"], ["/?text=403", "Not allowed", "not allowed"]] as const) {
      await page.route(`**/executions?*text=${address.slice(-3)}*`, (route) => route.fulfill(answers(Number(address.slice(-3)))));
      state(what, server.url + address, () => page.getByText(title).waitFor());
    }
    await page.route("**/executions/slow/trace*", () => {});
    state("loading", trace("slow"), () => page.getByText("Loading the trace").waitFor());
    for (const [what, url, reach] of states) {
      await page.goto(url);
      await reach();
      await accessible(page, `${what}, ${name}`);
      await fits(page, `${what}, ${name}`);
    }
    await close();
  });
});

describe("without a database", () => {
  it("says so, and goes on when it is back", async () => {
    const other = await Server.start();
    const { page, close } = await open(browser, other.url);
    await page.getByRole("link", { name: "reset-1" }).waitFor();
    other.dropDatabase();
    await page.getByRole("alert").waitFor();
    await accessible(page, "no database");
    other.import("updates");
    await page.getByRole("link", { name: "updates-1" }).waitFor();
    await page.getByRole("alert").waitFor({ state: "detached" });
    await close();
    await other.stop();
  });
});
