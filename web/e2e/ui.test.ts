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
  const pair = (id: string) => new History({ workflowId: id, runId: `${id}-run`, type: "Pair", begin: Date.now() - 600_000 }).activity("Stock");
  server.record(pair("pair-a").activity("Pay").complete());
  server.record(pair("pair-b").activity("Pay", { error: "CardClosed" }).activity("Extra").fail("CardClosed", "closed"));
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
    const before = await page.locator(".runs tbody tr").count();
    expect(before).toBe(HISTORIES.length + 5);
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
    expect(await page.locator(".runs tbody tr").count()).toBe(1);
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

describe("two runs", () => {
  it("are chosen in the list and compared step by step", async () => {
    const { page, close } = await open(browser, `${server.url}/?type=Pair`);
    await page.getByRole("checkbox", { name: "Compare pair-a" }).check();
    await page.getByRole("link", { name: "pair-b" }).focus();
    await page.keyboard.press("x");
    await page.keyboard.press("c");
    await page.getByText("2 of 3 steps differ").waitFor();
    const steps = () => page.locator("tbody th").allTextContents();
    expect((await steps()).map((name) => name.split(" ")[0])).toEqual(["Pay", "Extra"]);
    expect(await page.getByRole("row").filter({ hasText: "Extra" }).textContent()).toContain("only in B");
    await page.getByRole("button", { name: "All steps" }).click();
    await page.waitForURL(/steps=all/);
    expect((await steps()).length).toBe(3);
    await page.keyboard.press("s");
    await page.getByText("only in A").waitFor();
    await page.reload();
    await page.getByText("only in A").waitFor();
    await page.getByRole("link", { name: "Pay" }).click();
    await page.getByRole("complementary").getByText("CardClosed").first().waitFor();
    await close();
  });

  it("are found from one of them", async () => {
    const { page, close } = await open(browser, trace("pair-a"));
    await page.getByRole("link", { name: "compare with another run" }).click();
    await page.getByRole("button", { name: /pair-b/ }).click();
    await page.getByText("2 of 3 steps differ").waitFor();
    await close();
  });
});

describe("the charts", () => {
  it("count the runs of the last day, and say so in words and as a table", async () => {
    const { page, close } = await open(browser, `${server.url}/?type=Pair`);
    const chart = page.getByRole("img", { name: /Runs begun in the last 24 hours, Pair: 2 runs, 50.0 %/ });
    await chart.waitFor();
    await page.getByText("As a table").first().click();
    expect(await page.getByRole("figure").first().getByRole("row").nth(1).textContent()).toMatch(/1001$/);
    await accessible(page, "charts");
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
    state("two runs", `${server.url}/compare?a=pair-a&b=pair-b`, () => page.getByText("steps differ").waitFor());
    state("a choice of runs", `${server.url}/compare?a=pair-a`, () => page.getByRole("button", { name: /pair-b/ }).waitFor());
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
