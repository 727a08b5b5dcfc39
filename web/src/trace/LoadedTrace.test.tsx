import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Trace, TraceNode } from "../api/client";
import { GoContext } from "../components/go";
import { LoadedTrace } from "./LoadedTrace";
import { T0, at, attempt, node, run } from "./fns/fixture";
import type { View } from "./fns/view";
import { REST } from "./hooks/useReplay";

const root = run(
  [
    node("find", { scheduled_at: at(0), ended_at: at(100), duration_ms: 100 }),
    node("ask", {
      category: "model",
      scheduled_at: at(100),
      ended_at: at(400),
      token_usage: { prompt: 70, completion: 30 },
      children: [
        attempt("ask", 1, { status: "failed", started_at: at(110), ended_at: at(150), error: { type: "Busy", message: "later" } }),
        attempt("ask", 2, { started_at: at(300), ended_at: at(390), token_usage: { prompt: 70, completion: 30 } }),
      ],
    }),
  ],
  { started_at: at(0), ended_at: at(400), token_usage: { prompt: 70, completion: 30 } },
);

const traceOf = (given: Partial<Trace> = {}, of: TraceNode = root) =>
  ({
    execution_id: "order/1",
    run_id: "r2",
    namespace: "n",
    trace_id: "t",
    workflow_type: "Order",
    task_queue: "q",
    trigger: "client",
    status: "completed",
    started_at: at(0),
    ended_at: at(400),
    duration_ms: 400,
    event_count: 4,
    dropped_events: 0,
    incomplete: false,
    dashboards: {},
    links: { children: [] },
    root: of,
    ...given,
  }) as Trace;

let seen: View = {};
const go = vi.fn();

function Page({ trace, first }: { trace: Trace; first: View }) {
  const [view, setView] = useState(first);
  const [selected, select] = useState<string>();
  seen = view;
  return (
    <LoadedTrace
      trace={trace}
      streams={false}
      selected={selected}
      select={select}
      view={view}
      change={(more) => setView((before) => ({ ...before, ...more }))}
    />
  );
}

const show = (trace = traceOf(), first: View = {}) =>
  render(
    <QueryClientProvider client={new QueryClient()}>
      <GoContext value={go}>
        <Page trace={trace} first={first} />
      </GoContext>
    </QueryClientProvider>,
  );
const key = (name: string, more: object = {}) => fireEvent.keyDown(document.body, { key: name, ...more });
const rows = () => screen.getAllByRole("treeitem").map((row) => row.querySelector(".row-title")?.textContent);
const state = () => within(screen.getByRole("region", { name: "State at this moment" }));

describe("a trace", () => {
  beforeEach(() => {
    // Nothing has a size here; what is virtual needs one.
    vi.spyOn(Element.prototype, "clientHeight", "get").mockReturnValue(600);
    vi.spyOn(Element.prototype, "clientWidth", "get").mockReturnValue(800);
    vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => {}, removeEventListener: () => {} }));
    vi.stubGlobal("fetch", () => new Promise(() => {}));
    HTMLElement.prototype.scrollTo = () => {};
    go.mockReset();
  });
  afterEach(() => {
    cleanup();
    vi.useRealTimers();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  it("is replayed event by event with the keyboard, and the moment is in the address", () => {
    vi.useFakeTimers();
    show();
    expect(rows()).toEqual(["Order", "find", "ask"]);
    key("r");
    expect(rows()).toEqual(["Order", "find"]);
    expect(state().getByText("open steps").nextSibling?.textContent).toBe("1");
    key(".");
    expect(rows()).toEqual(["Order", "find", "ask"]);
    expect(state().getByText("attempts").nextSibling?.textContent).toBe("0");
    for (let step = 0; step < 3; step += 1) key(".");
    expect(state().getByText("attempts").nextSibling?.textContent).toBe("2, 1 of them retries");
    expect(state().getByText("tokens").nextSibling?.textContent).toBe("0 in, 0 out");
    key(".");
    expect(state().getByText("tokens").nextSibling?.textContent).toBe("70 in, 30 out");
    key(",");
    act(() => vi.advanceTimersByTime(REST + 1));
    expect(seen.at).toBe("2026-01-01T10:00:00.300000Z");
    key("Escape");
    expect(seen.at).toBeUndefined();
    expect(screen.queryByRole("group", { name: "Replay" })).toBeNull();
  });

  it("says at which step today's code parts from it, and leads there", () => {
    const replay = { build_id: "b7", checked_at: at(900), verdict: "parted", event_key: root.children[1]!.event_key } as const;
    show(traceOf({ replay: { ...replay, position: 2, expected: "activity ask T", found: "timer 1" } }));
    const fact = screen.getByText("today's code").nextSibling as HTMLElement;
    expect(fact.textContent).toBe("≠parts with build b7 at step 2: expected activity ask T, found timer 1");
    fireEvent.click(within(fact).getByRole("button", { name: "step 2" }));
    const chosen = screen.getAllByRole("treeitem").find((row) => row.getAttribute("aria-selected") === "true");
    expect(chosen?.querySelector(".row-title")?.textContent).toBe("ask");
  });

  it("opens at the moment that the address names, and its scrubber says where that is", () => {
    show(traceOf(), { at: at(110) });
    const slider = screen.getByRole("slider", { name: "Moment of the run" });
    expect(slider.getAttribute("aria-valuetext")).toBe("110ms after the start: activity ask T started");
    fireEvent.keyDown(slider, { key: "ArrowLeft" });
    expect(slider.getAttribute("aria-valuetext")).toMatch(/^100ms after the start/);
    fireEvent.change(slider, { target: { value: "0" } });
    expect(rows()).toEqual(["Order", "find"]);
  });

  it("plays to the end and stops there", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "requestAnimationFrame", "cancelAnimationFrame", "performance"] });
    show();
    key(" ");
    expect(screen.getByRole("button", { name: "Stop" })).toBeTruthy();
    act(() => vi.advanceTimersByTime(7_000));
    expect(rows()).toContain("ask");
    act(() => vi.advanceTimersByTime(10_000));
    expect(screen.getByRole("button", { name: "Play" })).toBeTruthy();
    act(() => vi.advanceTimersByTime(REST + 1));
    expect(Date.parse(seen.at!)).toBe(T0 + 400);
  });

  it("finds rows with what is above them, and says how many", () => {
    show(traceOf(), { q: "busy" });
    expect(rows()).toEqual(["Order", "ask", "attempt 1"]);
    expect(screen.getByText("1 found")).toBeTruthy();
    key("/");
    expect(document.activeElement).toBe(screen.getByRole("textbox", { name: "Search the rows" }));
  });

  it("marks the critical path in words too, and folds by a key", () => {
    show();
    expect(screen.queryByText("on the critical path")).toBeNull();
    key("c");
    expect(screen.getAllByText("on the critical path").length).toBeGreaterThan(1);
    key("f");
    expect(seen).toMatchObject({ path: "on", fold: "off" });
  });

  it("zooms by keys and shows all again", () => {
    show();
    const out = () => screen.getByRole<HTMLButtonElement>("button", { name: "Zoom out" });
    expect(out().disabled).toBe(true);
    key("+");
    expect(out().disabled).toBe(false);
    key("ArrowRight", { shiftKey: true });
    key("0");
    expect(out().disabled).toBe(true);
  });

  it("walks to the runs beside it", () => {
    const links = { previous_run: "r1", next_run: "r3", parent: { execution_id: "p/1", namespace: "n", run_id: "p" }, children: [] };
    show(traceOf({ links }));
    key("[");
    key("]");
    key("u");
    expect(go.mock.calls.flat()).toEqual([
      "/trace?id=order%2F1&run=r1&namespace=n",
      "/trace?id=order%2F1&run=r3&namespace=n",
      "/trace?id=p%2F1&run=p&namespace=n",
    ]);
  });

  it("shows markup as text, wherever it stands", () => {
    const bad = '<img src=x onerror="alert(1)">';
    const hostile = node(bad, {
      kind: bad,
      category: bad,
      model: bad,
      event_key: `activity:${bad}:T:0`,
      status: "failed",
      error: { type: bad, message: bad, hint: bad },
      scheduled_at: at(0),
      ended_at: at(5),
    });
    const { container } = show(
      traceOf({ execution_id: bad, workflow_type: bad, task_queue: bad, dashboards: { [bad]: "javascript:alert(1)" } }, run([hostile], { started_at: at(0) })),
      { at: at(400) },
    );
    key("j");
    key("j");
    key("Enter");
    expect(container.querySelector("img")).toBeNull();
    expect(container.querySelector('[href^="javascript"]')).toBeNull();
    expect(screen.getAllByText(bad, { exact: false }).length).toBeGreaterThan(3);
  });

  it("keeps a long trace out of the page but for what is seen", () => {
    const many = run(Array.from({ length: 10_000 }, (_, n) => node(`s${n}`, { scheduled_at: at(n), ended_at: at(n + 5) })), {
      started_at: at(0),
      ended_at: at(10_005),
    });
    const { container } = show(traceOf({ event_count: 10_000, ended_at: at(10_005) }, many));
    expect(screen.getAllByRole("treeitem").length).toBeLessThan(60);
    expect(container.querySelectorAll("*").length).toBeLessThan(1500);
    key("G");
    expect(screen.getByRole("tree").getAttribute("aria-activedescendant")).toBe("row-10000");
  });
});
