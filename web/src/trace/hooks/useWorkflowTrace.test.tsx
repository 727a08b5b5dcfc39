import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../../api/client";
import { node, run } from "../fns/fixture";
import { LIVE_EVERY, useWorkflowTrace } from "./useWorkflowTrace";

const fetched = vi.fn<(url: string) => Promise<Response>>();
const json = (body: unknown, status = 200) => Promise.resolve(new Response(JSON.stringify(body), { status }));
const trace = (status: string, root = run([])) => ({ execution_id: "a/b", run_id: "r1", namespace: "n", status, root });

function hook(executionId = "a/b") {
  const queries = new QueryClient({ defaultOptions: { queries: { retryDelay: 1 } } });
  const wrapper = ({ children }: { children: ReactNode }) => (
    <QueryClientProvider client={queries}>{children}</QueryClientProvider>
  );
  return renderHook(() => useWorkflowTrace({ executionId, namespace: "n" }), { wrapper });
}

describe("useWorkflowTrace", () => {
  beforeEach(() => {
    fetched.mockReset();
    vi.stubGlobal("fetch", fetched);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("asks for the run by its percent-encoded id", async () => {
    fetched.mockImplementation(() => json(trace("completed")));
    const { result } = hook("a/b c?é");
    await waitFor(() => expect(result.current.data?.run_id).toBe("r1"));
    expect(fetched.mock.calls[0]?.[0]).toBe("/executions/a%2Fb%20c%3F%C3%A9/trace?namespace=n");
  });

  it("follows a run that goes on, and stops when it has ended", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    // This server has no stream.
    const looks = () => fetched.mock.calls.filter(([url]) => !url.includes("/stream")).length;
    fetched.mockImplementation((url) =>
      url.includes("/stream") ? json({}, 404) : json(trace(looks() < 3 ? "running" : "completed")),
    );
    const { result } = hook();
    await waitFor(() => expect(result.current.data?.status).toBe("running"));
    await act(() => vi.advanceTimersByTimeAsync(2 * LIVE_EVERY + 50));
    await waitFor(() => expect(result.current.data?.status).toBe("completed"));
    await act(() => vi.advanceTimersByTimeAsync(10 * LIVE_EVERY));
    expect(looks()).toBe(3);
  });

  it("looks when the stream says so, and not beside", async () => {
    let tell: (text: string) => void = () => {};
    let status = "running";
    const traces = () => fetched.mock.calls.filter(([url]) => !url.includes("/stream")).length;
    fetched.mockImplementation((url) => {
      if (!url.includes("/stream")) return json(trace(status));
      const body = new ReadableStream<Uint8Array>({
        start: (to) => {
          tell = (text) => to.enqueue(new TextEncoder().encode(text));
          tell('event: rows\ndata: {"rows":[],"gone":[]}\n\n');
        },
      });
      return Promise.resolve(new Response(body, { headers: { "content-type": "text/event-stream" } }));
    });
    const { result } = hook();
    await waitFor(() => expect(result.current.streams).toBe(true));
    // Once more, for what landed before the stream.
    await waitFor(() => expect(traces()).toBe(2));
    const before = traces();
    await act(() => new Promise((go) => setTimeout(go, LIVE_EVERY + 200)));
    expect(traces()).toBe(before);
    tell('event: rows\ndata: {"rows":[{"event_key":"a"}],"gone":[]}\n\n');
    await waitFor(() => expect(traces()).toBe(before + 1));
    status = "completed";
    tell("event: end\ndata: {}\n\n");
    await waitFor(() => expect(result.current.data?.status).toBe("completed"));
    expect(result.current.streams).toBe(false);
  });

  it("joins the parts of a long trace, of the same run", async () => {
    const part = (from: number, more: number) => run([node(`${from}`), node(`${from + 1}`)], { more_children: more });
    fetched
      .mockImplementationOnce(() => json(trace("completed", part(0, 4))))
      .mockImplementationOnce(() => json(trace("completed", part(2, 2))))
      .mockImplementationOnce(() => json(trace("completed", { ...part(4, 0), more_children: undefined })));
    const { result } = hook();
    // Each part is shown as it comes.
    const lengths = new Set<number>();
    await waitFor(() => {
      lengths.add(result.current.data?.root.children.length ?? 0);
      expect(result.current.data?.root.children).toHaveLength(6);
    });
    const last = new URL(fetched.mock.calls[2]![0], "http://x").searchParams;
    expect(Object.fromEntries(last)).toEqual({ namespace: "n", run_id: "r1", after: "activity:3:T:0" });
  });

  it("tells what the server said, at once where asking again is of no use", async () => {
    fetched.mockImplementation(() => json({ title: "Not Found", status: 404, detail: "no run has that id" }, 404));
    const { result } = hook();
    await waitFor(() => expect(result.current.isError).toBe(true));
    expect(result.current.error).toEqual(new ApiError(404, "Not Found", "no run has that id"));
    expect(fetched).toHaveBeenCalledTimes(1);
  });

  it("asks again while the server is not there", async () => {
    fetched.mockRejectedValueOnce(new TypeError("refused")).mockImplementation(() => json(trace("completed")));
    const { result } = hook();
    await waitFor(() => expect(result.current.isSuccess).toBe(true));
    expect(fetched).toHaveBeenCalledTimes(2);
  });
});
