// The trace view as a person uses it: replay, search, filters, zoom, details, downloads, and long runs.
import { readFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { History, long } from "./history";
import { Server, accessible, fits, launch, open } from "./support";

let browser: Browser;
let server: Server;

beforeAll(async () => {
  browser = await launch();
  server = await Server.start();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

const trace = (id: string, more: Record<string, string> = {}) => `${server.url}/trace?${new URLSearchParams({ id, ...more })}`;
const titles = (page: Page) => page.locator('[role="treeitem"] .row-title').allTextContents();
const fact = (page: Page, name: string) =>
  page.getByRole("region", { name: "State at this moment" }).locator(`dt:text-is("${name}") + dd`).textContent();

describe("replay", () => {
  it("moves through a run by event, by the scrubber and by itself", async () => {
    const { page, close } = await open(browser, trace("order-support-1"));
    await page.getByRole("treeitem").first().waitFor();
    const all = (await titles(page)).length;
    await page.keyboard.press("r");
    await page.getByRole("group", { name: "Replay" }).waitFor();
    expect(await titles(page)).toEqual(["OrderSupport"]);
    for (let event = 0; event < 3; event += 1) await page.keyboard.press(".");
    expect(await titles(page)).toContain("Policy::check");
    expect(await fact(page, "open steps")).toBe("1");
    await page.waitForURL(/at=2026-/);
    const shown = await titles(page);
    await page.reload();
    await page.getByRole("group", { name: "Replay" }).waitFor();
    expect(await titles(page)).toEqual(shown);

    await page.getByRole("slider").focus();
    await page.keyboard.press("ArrowRight");
    expect(await page.getByRole("slider").getAttribute("aria-valuetext")).toMatch(/after the start: .+/);

    await page.getByLabel("Seconds that playing it all takes").selectOption("5");
    await page.getByRole("button", { name: "Play", exact: true }).click();
    await page.getByRole("button", { name: "Play", exact: true }).waitFor();
    expect(await fact(page, "run")).toContain("completed");
    expect(await fact(page, "signals")).toBe("1");
    expect(await fact(page, "attempts")).toContain("retries");
    expect((await titles(page)).length).toBe(all);
    await page.getByRole("button", { name: "End replay" }).click();
    await page.waitForURL((url) => !url.searchParams.has("at"));
    await close();
  });

  it("shows nothing of a step before it ended", async () => {
    const at = { at: "2026-11-21T16:56:23.200000Z", row: "activity:3:Model::classify:0" };
    const { page, close } = await open(browser, trace("order-support-1", at));
    const panel = page.getByRole("complementary");
    await panel.getByText("Prompts").first().waitFor();
    expect(await panel.getByText("Responses").count()).toBe(0);
    await page.keyboard.press("r");
    await panel.getByText("Responses").first().waitFor();
    await close();
  });
});

describe("the rows", () => {
  it("are searched, filtered and sorted, and the address says how", async () => {
    const { page, close } = await open(browser, trace("order-support-1"));
    await page.getByRole("treeitem").first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("knowledge");
    await page.waitForURL(/q=knowledge/);
    await page.getByText(/found$/).waitFor();
    const found = await titles(page);
    expect(found[0]).toBe("OrderSupport");
    expect(found[1]).toBe("Search::knowledge");
    await page.getByRole("textbox").fill("");
    await page.waitForURL((url) => !url.searchParams.has("q"));

    await page.getByText("Filter ▾").click();
    await page.getByRole("checkbox", { name: "failed" }).check();
    await page.waitForURL(/status=failed/);
    expect(await titles(page)).toEqual(["OrderSupport", "Search::knowledge", "attempt 1"]);
    await page.keyboard.press("Escape");
    await page.reload();
    await page.getByText("Filter (1)").waitFor();
    await page.getByText("Filter (1)").click();
    await page.getByRole("button", { name: "Clear" }).click();
    await page.waitForURL((url) => !url.searchParams.has("status"));
    await page.keyboard.press("Escape");

    await page.getByText("Show ▾").click();
    await page.getByRole("checkbox", { name: "Errors first" }).check();
    await page.waitForURL(/first=errors/);
    expect((await titles(page))[1]).toBe("Search::knowledge");
    await page.getByRole("checkbox", { name: "Critical path" }).check();
    await page.locator(".bar-critical").first().waitFor();
    await close();
  });

  it("are zoomed by dragging over the overview, and by the keyboard", async () => {
    const { page, close } = await open(browser, trace("order-support-1"));
    await page.getByRole("treeitem").first().waitFor();
    const ticks = () => page.locator(".tick").allTextContents();
    const before = await ticks();
    const box = (await page.getByTestId("minimap").boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.6, box.y + 10);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 10, { steps: 4 });
    await page.mouse.up();
    expect(await ticks()).not.toEqual(before);
    await page.getByRole("button", { name: "All", exact: true }).click();
    expect(await ticks()).toEqual(before);
    await page.keyboard.press("+");
    expect(await ticks()).not.toEqual(before);
    await page.keyboard.press("0");
    expect(await ticks()).toEqual(before);
    await close();
  });

  it("fold what was idle", async () => {
    const day = 86_400_000;
    server.record(new History({ workflowId: "sleeper", runId: "s1" }).activity("Wake").timer("7", day).activity("Work").complete());
    const { page, close } = await open(browser, trace("sleeper"));
    await page.locator(".gap").first().waitFor();
    expect(await page.locator(".gap").getAttribute("title")).toContain("nothing happened for 1d00h");
    const bar = page.getByRole("treeitem").filter({ hasText: "Wake" }).locator(".bar-work");
    const wide = (await bar.boundingBox())!.width;
    await page.keyboard.press("f");
    await page.locator(".gap").waitFor({ state: "detached" });
    expect((await bar.boundingBox())!.width).toBeLessThan(wide / 2);
    await close();
  });

  it("are taken away as JSON and CSV, as they are shown", async () => {
    const { page, close } = await open(browser, trace("order-support-1", { q: "knowledge" }));
    await page.getByText(/found$/).waitFor();
    const file = async (name: string) => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
      return readFileSync(await download.path(), "utf8");
    };
    await page.getByText("Download ▾").click();
    const csv = (await file("These rows as CSV")).trim().split("\r\n");
    const json = JSON.parse(await file("These rows as JSON")) as { rows: { event_key: string }[] };
    expect(csv.length - 1).toBe((await titles(page)).length);
    expect(json.rows.length).toBe(csv.length - 1);
    expect(json.rows[1]!.event_key).toBe("activity:4:Search::knowledge:0");
    await close();
  });
});

describe("the details", () => {
  it("show prompts in a drawer, to read and to copy", async () => {
    const { page, close } = await open(browser, trace("order-support-1", { row: "activity:6:Model::draft:0" }));
    await page.getByRole("button", { name: /Read prompts/ }).click();
    const drawer = page.getByRole("dialog");
    await drawer.getByRole("button", { name: /Copy text 1/ }).waitFor();
    await accessible(page, "a drawer");
    await page.keyboard.press("Escape");
    await drawer.waitFor({ state: "detached" });
    expect(await page.getByRole("complementary").getByRole("table").count()).toBe(1);
    await close();
  });
});

describe("a run that goes on", () => {
  it("is followed until it ends", async () => {
    const run = () => new History({ workflowId: "live", runId: "l1", begin: Date.now() - 60_000 }).activity("First");
    server.record(run());
    const { page, close } = await open(browser, trace("live"));
    await page.getByTitle("Rows come as they land").waitFor();
    expect(await titles(page)).toEqual(["Order", "First"]);
    server.record(run().activity("Second"));
    await page.getByRole("treeitem").filter({ hasText: "Second" }).waitFor();
    server.record(run().activity("Second").complete());
    await page.getByText("▸ live").waitFor({ state: "detached" });
    await close();
  });
});

describe("a hostile run", () => {
  it("is text wherever it is shown", async () => {
    const bad = `<img src=x onerror="alert(1)"><script>alert(2)</script>`;
    const history = new History({ workflowId: `${bad}/ü '"%00`, runId: `r${bad}`, type: bad, input: { [bad]: bad } })
      .activity(bad, { error: bad, input: { [bad]: bad } })
      .signal(bad, { [bad]: bad })
      .timer(bad, 5)
      .fail(bad, bad);
    server.record(history);
    const id = `${bad}/ü '"%00`;
    const { page, close } = await open(browser, trace(id));
    await page.getByRole("treeitem").nth(1).waitFor();
    for (let row = 0; row < 5; row += 1) {
      await page.keyboard.press("j");
      if (row === 0) await page.keyboard.press("Enter");
      await page.getByRole("complementary").waitFor();
    }
    await page.keyboard.press("r");
    await page.goto(server.url);
    await page.getByRole("link", { name: id }).waitFor();
    expect(await page.locator("img").count()).toBe(0);
    await close();
  });
});

describe("a long run", () => {
  // Of 50,000 rows in `cargo xtask bench ui`: reading so many takes a debug build minutes.
  it("opens part by part, with a page that stays small", { timeout: 300_000 }, async () => {
    server.record(long("long", 24_000));
    const { page, close } = await open(browser, trace("long"));
    page.setDefaultTimeout(60_000);
    await page.getByRole("treeitem").nth(5).waitFor();
    await page.getByText("more are coming").waitFor({ state: "detached" });
    const nodes = () => page.evaluate(() => document.querySelectorAll("*").length);
    expect(await nodes()).toBeLessThan(3000);
    await page.keyboard.press("G");
    await page.locator('[role="treeitem"][aria-selected="true"]').waitFor();
    expect(await page.getByRole("tree").getAttribute("aria-activedescendant")).toBe("row-12000");
    await page.keyboard.press("e");
    await page.getByRole("complementary").getByText("CardClosed").first().waitFor();
    await page.keyboard.press("*");
    await page.keyboard.press("g");
    expect(await nodes()).toBeLessThan(3000);
    await fits(page, "a long run");
    await close();
  });
});
