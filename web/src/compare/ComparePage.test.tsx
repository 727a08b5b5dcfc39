import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider, createMemoryHistory, createRouter } from "@tanstack/react-router";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { router } from "../router";

const fetched = vi.fn<(url: string) => Promise<Response>>();
const json = (body: unknown) => Promise.resolve(new Response(JSON.stringify(body)));
const run = (id: string) => ({
  execution_id: id,
  run_id: `${id}-run`,
  namespace: "n",
  workflow_type: "Order",
  status: "completed",
  event_count: 3,
  cost_usd: 0,
  token_usage: { prompt: 0, completion: 0 },
});
const side = { status: "completed", attempts: 1, duration_ms: 10 };
const compared = {
  a: run("a/1"),
  b: run("b/1"),
  differing: 2,
  steps: [
    { event_key: "activity:1:Pay:0", kind: "activity", name: "Pay", a: side, b: { ...side, status: "failed", error_type: "CardClosed", attempts: 3 }, differs: ["status", "error_type", "attempts"] },
    { event_key: "signal:9:go:1", kind: "signal", name: "go", a: null, b: side, differs: ["missing"] },
    { event_key: "activity:2:Send:0", kind: "activity", name: "Send", a: side, b: side, differs: [] },
  ],
};

const show = (url: string) =>
  render(
    <QueryClientProvider client={new QueryClient()}>
      <RouterProvider router={createRouter({ ...router.options, history: createMemoryHistory({ initialEntries: [url] }) }) as typeof router} />
    </QueryClientProvider>,
  );

beforeEach(() => {
  fetched.mockReset();
  vi.stubGlobal("fetch", fetched);
  vi.stubGlobal("scrollTo", () => {});
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

it("shows what differs, and the rest when it is wanted", async () => {
  fetched.mockImplementation(() => json(compared));
  show("/compare?a=a%2F1&b=b%2F1&a_run=a%2F1-run&namespace=n");
  await screen.findByText(/2 of 3 steps differ/);
  expect(fetched.mock.calls[0]![0]).toBe("/executions/compare?a=a%2F1&b=b%2F1&a_run_id=a%2F1-run&namespace=n");
  const names = () => screen.getAllByRole("rowheader").map((cell) => cell.textContent);
  expect(names()).toEqual(["Pay activity", "go signal"]);
  expect(screen.getByText("only in B")).toBeTruthy();
  expect(screen.getByRole("link", { name: "Pay" }).getAttribute("href")).toContain("row=activity%3A1%3APay%3A0");
  fireEvent.keyDown(document.body, { key: "a" });
  await screen.findByText("Send");
  fireEvent.keyDown(document.body, { key: "s" });
  await vi.waitFor(() => expect(fetched.mock.calls.at(-1)![0]).toBe("/executions/compare?a=b%2F1&b=a%2F1&b_run_id=a%2F1-run&namespace=n"));
});

it("asks which run of the type, where only one is named", async () => {
  fetched.mockImplementation((url) =>
    url.includes("/compare?")
      ? json(compared)
      : url.includes("/trace")
        ? json({ ...run("a/1"), root: {} })
        : json({ executions: [run("a/1"), run("c/1")] }),
  );
  show("/compare?a=a%2F1");
  fireEvent.click(await screen.findByRole("button", { name: /c\/1/ }));
  await vi.waitFor(() => expect(fetched.mock.calls.at(-1)![0]).toBe("/executions/compare?a=a%2F1&b=c%2F1&b_run_id=c%2F1-run"));
});
