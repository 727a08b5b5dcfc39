// How long runs open in this UI, and in Temporal's own of the same run, on the same machine in turn.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, it } from "vitest";
import { long } from "../e2e/history";
import { Server, given, launch } from "../e2e/support";

const QUICK = Boolean(process.env.BENCH_QUICK);
const ROUNDS = QUICK ? 1 : 5;
/** Milliseconds in which neither rows nor requests come: then they stand still. */
const STILL = 2500;
const AT_MOST = 600_000;
const SCROLLED = QUICK ? 2_000 : 20_000;
const HUGE = QUICK ? 4_000 : 50_000;

interface Opened {
  seconds: number;
  requests: number;
  bytes: number;
  nodes: number;
  heap: number;
}

let browser: Browser;
let server: Server;

beforeAll(async () => {
  browser = await launch();
  server = await Server.start();
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** Opens a page with an empty cache and waits until nothing changes any more. */
async function opened(url: string, more?: (page: import("playwright-core").Page) => Promise<void>): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  let [requests, bytes, under, last] = [0, 0, 0, Date.now()];
  devtools.on("Network.requestWillBeSent", () => ((requests += 1), (under += 1), (last = Date.now())));
  devtools.on("Network.loadingFinished", ({ encodedDataLength }) => ((bytes += encodedDataLength), (under -= 1), (last = Date.now())));
  devtools.on("Network.loadingFailed", () => ((under -= 1), (last = Date.now())));
  await devtools.send("Network.enable");
  await devtools.send("Performance.enable");
  await page.addInitScript(() => {
    const changes = { last: 0 };
    Object.assign(window, { changes });
    new MutationObserver(() => (changes.last = performance.now())).observe(document, { childList: true, subtree: true, characterData: true });
  });
  await page.goto(url, { timeout: AT_MOST });
  const begun = Date.now();
  const changed = () => page.evaluate(() => [(window as unknown as { changes: { last: number } }).changes.last, performance.now()] as const);
  let [change, now] = await changed();
  // A stream or a poll may go on for ever: what stands still is what is shown.
  while (now - change < STILL || (under > 0 && Date.now() - last < STILL)) {
    if (Date.now() - begun > AT_MOST) throw new Error(`${url} did not come to rest`);
    await page.waitForTimeout(100);
    [change, now] = await changed();
  }
  await more?.(page);
  await devtools.send("HeapProfiler.collectGarbage");
  const { metrics } = await devtools.send("Performance.getMetrics");
  const metric = (name: string) => metrics.find((one) => one.name === name)?.value ?? 0;
  await context.close();
  return { seconds: change / 1000, requests, bytes, nodes: metric("Nodes"), heap: metric("JSHeapUsedSize") };
}

const median = (all: number[]) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)]!;

it("opens long runs", { timeout: 7_200_000 }, async () => {
  const id = given("BENCH_WORKFLOW");
  server.run("backfill", "--address", given("BENCH_TEMPORAL"), "--workflow-id", id);
  const answer = await fetch(`${server.url}/executions?${new URLSearchParams({ workflow_id: id })}`);
  const { executions } = (await answer.json()) as { executions: { run_id: string; event_count: number }[] };
  const ours = `${server.url}/trace?${new URLSearchParams({ id })}`;
  const theirs = `${given("BENCH_TEMPORAL_UI")}/namespaces/default/workflows/${id}/${executions[0]!.run_id}/history`;

  const rounds: { ours: Opened; theirs: Opened }[] = [];
  // The first one warms up.
  for (let round = 0; round <= ROUNDS; round += 1) {
    const pair = { theirs: await opened(theirs), ours: await opened(ours) };
    if (round > 0 || QUICK) rounds.push(pair);
  }
  const lines: string[] = [];
  for (const what of ["seconds", "requests", "bytes", "nodes", "heap"] as const) {
    const ratio = median(rounds.map((round) => round.ours[what] / round.theirs[what]));
    const [a, b] = [median(rounds.map((round) => round.ours[what])), median(rounds.map((round) => round.theirs[what]))];
    lines.push(`${what}: ours / Temporal's ${ratio.toFixed(3)} (${a.toFixed(2)} and ${b.toFixed(2)})`);
  }

  server.record(long("scrolled", SCROLLED));
  let frames = { rate: 0, late: 0 };
  await opened(`${server.url}/trace?id=scrolled`, async (page) => {
    frames = await page.evaluate(async () => {
      const rows = document.querySelector(".rows")!;
      const times: number[] = [];
      const begun = performance.now();
      while (performance.now() - begun < 4000) {
        times.push(await new Promise<number>(requestAnimationFrame));
        // As fast as somebody who drags the bar: two screens in a second, then a jump.
        rows.scrollTop += times.length % 60 === 0 ? 20_000 : 24;
      }
      const gaps = times.slice(1).map((time, at) => time - times[at]!);
      return {
        rate: (1000 * gaps.length) / gaps.reduce((sum, gap) => sum + gap, 0),
        late: gaps.filter((gap) => gap > 25).length / gaps.length,
      };
    });
  });
  lines.push(`scrolling ${SCROLLED / 2} rows: ${frames.rate.toFixed(1)} frames per second, ${(100 * frames.late).toFixed(1)} % late`);

  server.record(long("huge", HUGE));
  const huge = await opened(`${server.url}/trace?id=huge`);
  lines.push(`${HUGE} rows: ${huge.seconds.toFixed(2)} s to the last, ${(huge.bytes / 1e6).toFixed(2)} MB, ${huge.nodes} nodes, ${(huge.heap / 1e6).toFixed(0)} MB of heap`);

  mkdirSync(given("BENCH_OUT"), { recursive: true });
  const versions = { chromium: browser.version(), commit: commit() };
  const result = { date: new Date().toISOString(), versions, events: executions[0]!.event_count, rounds, frames, huge };
  writeFileSync(join(given("BENCH_OUT"), "ui.json"), JSON.stringify(result, null, 2));
  process.stdout.write(`${lines.join("\n")}\n`);
});

const commit = () => execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
