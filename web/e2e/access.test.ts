// Who may see what, in the browser: real tokens, against a server that asks for them.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Server, accessible, fits, launch, open } from "./support";

let browser: Browser;
let server: Server;

beforeAll(async () => {
  browser = await launch();
  server = await Server.start(["order_support", "updates"], ["--require-token"]);
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

const DRAFT = "activity:6:Model::draft:0";
const trace = (id: string, more: Record<string, string> = {}) => `${server.url}/trace?${new URLSearchParams({ id, ...more })}`;

/** A token that may do this. */
const token = (...args: string[]) => server.run("token", "create", ...args).trim().split("\n").at(-1)!;
const every = ["--tenant", "*", "--namespace", "*"];

async function enter(page: Page, text: string) {
  await page.getByLabel("Access token").fill(text);
  await page.getByRole("button", { name: "Use it" }).click();
}

const sentTokens = (page: Page) => {
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  return asked;
};

describe("without a token", () => {
  it("nothing is shown but the question for one, and a wrong one is refused", async () => {
    const { page, close } = await open(browser, server.url);
    await page.getByText("A token is needed").waitFor();
    expect(await page.getByRole("table").count()).toBe(0);
    await accessible(page, "no token");
    await fits(page, "no token");
    await enter(page, "omt_000000000000_wrong");
    await page.getByText(/not known, has ended or was taken back/).waitFor();
    await close();
  });

  it("a trace asks too, and is shown once there is one, also after the page is loaded anew", async () => {
    const { page, close } = await open(browser, trace("order-support-1"));
    const asked = sentTokens(page);
    const secret = token("--name", "reader", "--right", "read,content", ...every);
    await page.getByText("A token is needed").waitFor();
    await enter(page, secret);
    await page.getByRole("treeitem").first().waitFor();
    await page.reload();
    await page.getByRole("treeitem").first().waitFor();
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.some((url) => url.includes(secret))).toBe(false);
    await close();
  });
});

describe("a token", () => {
  it("says whom it is for and what it shows, and is forgotten", async () => {
    const { page, close } = await open(browser, server.url);
    await enter(page, token("--name", "support desk", ...every));
    await page.getByRole("link", { name: "order-support-1" }).waitFor();
    await page.getByText("support desk").click();
    await page.getByText("Your token shows runs of all namespaces and all tenants.").waitFor();
    await page.getByText("Prompts and other recorded data are not shown.").waitFor();
    await accessible(page, "who one is");
    await page.getByRole("button", { name: "Forget the token" }).click();
    await page.getByText("A token is needed").waitFor();
    expect(await page.getByText("support desk").count()).toBe(0);
    await close();
  });

  it("without the right to content shows no prompts, and says so", async () => {
    const { page, close } = await open(browser, trace("order-support-1", { row: DRAFT }));
    const refused: number[] = [];
    page.on("response", (response) => response.status() === 403 && refused.push(response.status()));
    await enter(page, token("--name", "names only", ...every));
    const panel = page.getByRole("complementary");
    await panel.getByText(/does not have the right to read prompts/).waitFor();
    expect(await panel.getByText("Prompts", { exact: true }).count()).toBe(0);
    expect(await panel.locator("pre").count()).toBe(0);
    await accessible(page, "no content");
    // What one may not have is not even asked for, once it is known who one is.
    await page.keyboard.press("j");
    await panel.getByText(/does not have the right to read prompts/).waitFor();
    expect(refused.length).toBeLessThan(2);
    await close();
  });

  it("of another namespace or tenant shows none of it, and says what it shows", async () => {
    for (const [name, args, seen] of [
      ["elsewhere", ["--tenant", "*", "--namespace", "other"], "namespace other and all tenants"],
      ["a tenant", ["--tenant", "acme", "--namespace", "default"], "namespace default and 1 tenant"],
    ] as const) {
      const { page, close } = await open(browser, server.url);
      await enter(page, token("--name", name, ...args));
      await page.getByText("No run is recorded yet, or none that your token shows").waitFor();
      await page.getByRole("main").getByText(`Your token shows runs of ${seen}.`).waitFor();
      await accessible(page, name);
      await page.goto(trace("order-support-1"));
      await page.getByRole("alert").getByText(`Your token shows runs of ${seen}.`).waitFor();
      await accessible(page, `a run of others, ${name}`);
      await close();
    }
  });

  it("without the right to read is not allowed, and can be taken back", async () => {
    const { page, close } = await open(browser, server.url);
    await enter(page, token("--name", "metrics", "--right", "admin", ...every));
    await page.getByText("Not allowed").waitFor();
    await accessible(page, "not allowed");
    await fits(page, "not allowed");
    await page.getByRole("button", { name: "Forget the one in use" }).click();
    await page.getByText("A token is needed").waitFor();
    await close();
  });
});
