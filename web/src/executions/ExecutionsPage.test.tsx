import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider, createMemoryHistory, createRouter } from "@tanstack/react-router";
import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { router } from "../router";

const fetched = vi.fn<(url: string) => Promise<Response>>();
const json = (body: unknown, status = 200) => Promise.resolve(new Response(JSON.stringify(body), { status }));
const run = (id: string, given: object = {}) => ({
  execution_id: id,
  run_id: `${id}-run`,
  namespace: "n",
  workflow_type: "Order",
  status: "completed",
  started_at: new Date(Date.now() - 60_000).toISOString(),
  duration_ms: 5,
  event_count: 3,
  dropped_events: 0,
  incomplete: false,
  cost_usd: 0,
  token_usage: { prompt: 0, completion: 0 },
  ...given,
});
const list = (runs: object[]) => ({ executions: runs, next_cursor: null, counts: { by_status: { completed: 2 }, more: false } });
const hour = {
  hour: new Date(Math.floor(Date.now() / 3_600_000) * 3_600_000).toISOString(),
  workflow_type: "Order",
  started: 4,
  completed: 3,
  failed: 1,
  other: 0,
  open: 0,
  error_rate: 0.25,
  p50_ms: 100,
  p95_ms: 1500,
  p99_ms: 2000,
  input_tokens: 0,
  output_tokens: 0,
  cost_usd: 0,
};

let history: ReturnType<typeof createMemoryHistory>;
function show(url: string) {
  history = createMemoryHistory({ initialEntries: [url] });
  const routes = createRouter({ ...router.options, history }) as typeof router;
  render(
    <QueryClientProvider client={new QueryClient()}>
      <RouterProvider router={routes} />
    </QueryClientProvider>,
  );
}

beforeEach(() => {
  fetched.mockReset();
  vi.stubGlobal("fetch", fetched);
  vi.stubGlobal("scrollTo", () => {});
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

it("shows runs, and the last day in bars, words and numbers", async () => {
  fetched.mockImplementation((url) => json(url.startsWith("/stats") ? { hours: [hour], types: [] } : list([run("a")])));
  show("/?type=Order");
  await screen.findByRole("link", { name: "a" });
  await screen.findByRole("img", { name: "Runs begun in the last 24 hours, Order: 4 runs, 25.0 % of those that ended failed" });
  await screen.findByRole("img", { name: /at most 1.50s \(p95\)/ });
  const [counts] = screen.getAllByRole("table", { hidden: true });
  expect(within(counts!).getAllByRole("row", { hidden: true })[1]!.textContent).toMatch(/3001$/);
  const asked = new URL(fetched.mock.calls.find(([url]) => url.startsWith("/stats"))![0], "http://x").searchParams;
  expect(Date.parse(asked.get("to")!) - Date.parse(asked.get("from")!)).toBe(86_400_000);
  expect(asked.get("workflow_type")).toBe("Order");
});

it("narrows by a status in the address", async () => {
  fetched.mockImplementation((url) => json(url.startsWith("/stats") ? { hours: [], types: [] } : list([run("a")])));
  show("/");
  fireEvent.click(await screen.findByRole("button", { name: /completed 2|completed2/ }));
  await waitFor(() => expect(history.location.search).toBe("?status=completed"));
  expect(screen.queryByRole("img")).toBeNull();
});

it("has two runs chosen and compared by the keyboard", async () => {
  const [a, b] = [run("a", { started_at: "2026-01-01T00:00:00Z" }), run("b")];
  fetched.mockImplementation((url) => {
    if (url.startsWith("/stats")) return json({ hours: [], types: [] });
    return json(url.includes("/compare?") ? { a, b, steps: [], differing: 0 } : list([b, a]));
  });
  show("/");
  await screen.findByRole("link", { name: "a" });
  for (let n = 0; n < 2; n += 1) {
    fireEvent.keyDown(document.activeElement ?? document.body, { key: "j" });
    fireEvent.keyDown(document.activeElement!, { key: "x" });
  }
  fireEvent.keyDown(document.activeElement!, { key: "c" });
  await screen.findByText(/All 0 steps are alike/);
  expect(history.location.href).toBe("/compare?a=a&a_run=a-run&b=b&b_run=b-run&namespace=n");
});

it("asks for a token where one is needed", async () => {
  fetched.mockImplementation(() => json({ title: "Unauthorized", detail: "send a bearer token" }, 401));
  show("/");
  await screen.findByText("A token is needed");
  expect(screen.getByLabelText("Access token")).toBeTruthy();
  // Not asked again and again.
  expect(fetched.mock.calls.length).toBe(1);
});
