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
const HUGE_ROUNDS = QUICK ? 1 : 3;
const SCROLLED = QUICK ? 2_000 : 20_000;
const HUGE = QUICK ? 4_000 : 50_000;

interface Opened {
  /** Until there was a row of ours, and until nothing changed any more. */
  first: number;
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
    const changes = { first: 0, last: 0 };
    Object.assign(window, { changes });
    const changed = () => {
      changes.last = performance.now();
      // Looked for in our page alone: in a page of many nodes it would take time itself.
      if (!changes.first && location.pathname === "/trace" && document.querySelector('[role="treeitem"]')) changes.first = changes.last;
    };
    new MutationObserver(changed).observe(document, { childList: true, subtree: true, characterData: true });
  });
  await page.goto(url, { timeout: AT_MOST });
  const begun = Date.now();
  const changed = () =>
    page.evaluate(() => {
      const { first, last } = (window as unknown as { changes: { first: number; last: number } }).changes;
      return [last, performance.now(), first] as const;
    });
  let [change, now, first] = await changed();
  // A stream or a poll may go on for ever: what stands still is what is shown.
  while (now - change < STILL || (under > 0 && Date.now() - last < STILL)) {
    if (Date.now() - begun > AT_MOST) throw new Error(`${url} did not come to rest`);
    await page.waitForTimeout(100);
    [change, now, first] = await changed();
  }
  await more?.(page);
  await devtools.send("HeapProfiler.collectGarbage");
  const { metrics } = await devtools.send("Performance.getMetrics");
  const metric = (name: string) => metrics.find((one) => one.name === name)?.value ?? 0;
  await context.close();
  return { first: first / 1000, seconds: change / 1000, requests, bytes, nodes: metric("Nodes"), heap: metric("JSHeapUsedSize") };
}

const sorted = (all: number[]) => [...all].sort((a, b) => a - b);
const quantile = (all: number[], q: number) => sorted(all)[Math.round(q * (all.length - 1))]!;
const median = (all: number[]) => quantile(all, 0.5);
/** Between what half of them lie. */
const half = (all: number[], digits: number) => `${quantile(all, 0.25).toFixed(digits)} – ${quantile(all, 0.75).toFixed(digits)}`;

/** What is wanted of a figure, and whether it is so. */
const goal = (text: string, met: boolean) => ` (goal ${text}: ${met ? "met" : "missed"})`;

/** What each figure of opening a page is called, how it is shown, and what is wanted of ours. */
const FIGURES: [keyof Opened, string, (value: number) => string, ((of: Figures) => string)?][] = [
  ["seconds", "seconds until rows stand still", (s) => s.toFixed(2), ({ ratio }) => goal("a tenth", ratio <= 0.1)],
  ["requests", "requests", String],
  ["bytes", "bytes", (n) => `${(n / 1e6).toFixed(2)} MB`, ({ ours }) => goal("under 1 MB", ours < 1e6)],
  ["nodes", "nodes of the page", String, ({ ours }) => goal("under 3,000", ours < 3000)],
  ["heap", "heap", (n) => `${(n / 1e6).toFixed(1)} MB`],
];

interface Figures {
  ratio: number;
  ours: number;
}

interface Frames {
  /** Each second. */
  rate: number;
  /** Part of them that came a frame or more too late. */
  late: number;
  /** Milliseconds. */
  longest: number;
}

/** Scrolls as fast as somebody who drags the bar: two screens in a second, then a jump. */
async function scrolled(page: import("playwright-core").Page): Promise<Frames> {
  return page.evaluate(async () => {
    const rows = document.querySelector(".rows")!;
    rows.scrollTop = 0;
    const times: number[] = [];
    const begun = performance.now();
    while (performance.now() - begun < 4000) {
      times.push(await new Promise<number>(requestAnimationFrame));
      rows.scrollTop += times.length % 60 === 0 ? 20_000 : 24;
    }
    const gaps = times.slice(1).map((time, at) => time - times[at]!);
    return {
      rate: (1000 * gaps.length) / gaps.reduce((sum, gap) => sum + gap, 0),
      late: gaps.filter((gap) => gap > 25).length / gaps.length,
      longest: Math.max(...gaps),
    };
  });
}

it("opens long runs", { timeout: 7_200_000 }, async () => {
  const id = given("BENCH_WORKFLOW");
  server.run("backfill", "--address", given("BENCH_TEMPORAL"), "--workflow-id", id);
  const answer = await fetch(`${server.url}/executions?${new URLSearchParams({ workflow_id: id })}`);
  const { executions } = (await answer.json()) as { executions: { run_id: string; event_count: number }[] };
  const ours = `${server.url}/trace?${new URLSearchParams({ id })}`;
  const theirs = `${given("BENCH_TEMPORAL_UI")}/namespaces/default/workflows/${id}/${executions[0]!.run_id}/history`;
  const lines: string[] = [];
  const tell = (line: string) => {
    lines.push(line);
    process.stdout.write(`${line}\n`);
  };

  const rounds: { ours: Opened; theirs: Opened }[] = [];
  // The first one warms up; which is opened first changes, so that neither has it better.
  for (let round = 0; round <= ROUNDS; round += 1) {
    const [first, second] = round % 2 ? [ours, theirs] : [theirs, ours];
    const [one, two] = [await opened(first), await opened(second)];
    const pair = round % 2 ? { ours: one, theirs: two } : { ours: two, theirs: one };
    if (round > 0 || QUICK) rounds.push(pair);
  }
  tell(`A run of ${executions[0]!.event_count} rows, ${rounds.length} rounds; Chromium ${browser.version()}, commit ${commit()}\n`);
  tell("| what | ours / Temporal's | half lie between | ours | Temporal's |\n|---|---|---|---|---|");
  for (const [name, what, show, wanted] of FIGURES) {
    const ratios = rounds.map((round) => round.ours[name] / round.theirs[name]);
    const [a, b] = [median(rounds.map((round) => round.ours[name])), median(rounds.map((round) => round.theirs[name]))];
    const ratio = median(ratios);
    tell(`| ${what}${wanted?.({ ratio, ours: a }) ?? ""} | ${ratio.toFixed(3)} | ${half(ratios, 3)} | ${show(a)} | ${show(b)} |`);
  }

  server.record(long("scrolled", SCROLLED));
  const frames: Frames[] = [];
  await opened(`${server.url}/trace?id=scrolled`, async (page) => {
    for (let round = 0; round < ROUNDS; round += 1) frames.push(await scrolled(page));
  });
  const rates = frames.map((one) => one.rate);
  const late = median(frames.map((one) => one.late));
  tell(
    `\nScrolling ${SCROLLED / 2} rows: ${median(rates).toFixed(1)} frames per second${goal("60", median(rates) >= 59)}, half between ${half(rates, 1)};` +
      ` ${(100 * late).toFixed(1)} % late, the longest ${median(frames.map((one) => one.longest)).toFixed(0)} ms`,
  );

  server.record(long("huge", HUGE));
  const huge: Opened[] = [];
  for (let round = 0; round < HUGE_ROUNDS; round += 1) huge.push(await opened(`${server.url}/trace?id=huge`));
  const of = (name: keyof Opened) => median(huge.map((one) => one[name]));
  tell(
    `Opening ${HUGE} rows: the first after ${of("first").toFixed(2)} s, the last after ${of("seconds").toFixed(2)} s, half between ${half(huge.map((one) => one.seconds), 2)};` +
      ` ${of("requests")} requests, ${(of("bytes") / 1e6).toFixed(2)} MB, ${of("nodes")} nodes, ${(of("heap") / 1e6).toFixed(0)} MB of heap`,
  );

  mkdirSync(given("BENCH_OUT"), { recursive: true });
  const versions = { chromium: browser.version(), commit: commit() };
  const result = { date: new Date().toISOString(), versions, events: executions[0]!.event_count, rounds, frames, huge };
  writeFileSync(join(given("BENCH_OUT"), "ui.json"), JSON.stringify(result, null, 2));
  writeFileSync(join(given("BENCH_OUT"), "ui.md"), `${lines.join("\n")}\n`);
});

const commit = () => execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
