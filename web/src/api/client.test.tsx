import { QueryClient, QueryClientProvider, useQuery } from "@tanstack/react-query";
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ErrorNotice } from "../components/Notice";
import { Who } from "../components/Who";
import { ApiError, Client } from "./client";
import { useClient } from "./context";
import { currentToken, setToken } from "./token";

const fetched = vi.fn<(url: string, init: RequestInit) => Promise<Response>>();
const json = (body: unknown, status = 200) => Promise.resolve(new Response(JSON.stringify(body), { status }));

beforeEach(() => {
  fetched.mockReset();
  vi.stubGlobal("fetch", fetched);
});
afterEach(() => {
  setToken(undefined);
  cleanup();
  vi.unstubAllGlobals();
});

describe("the token", () => {
  function List() {
    const client = useClient();
    const query = useQuery({ queryKey: ["x"], queryFn: () => client.executions({}), retry: false });
    return query.error ? <ErrorNotice error={query.error} /> : <p>{query.data ? "there" : "…"}</p>;
  }

  it("is asked for, sent in a header, kept for the tab, and in no address", async () => {
    fetched.mockImplementation((_, init) =>
      new Headers(init.headers).get("authorization") === "Bearer s3cret"
        ? json({ executions: [] })
        : json({ title: "Unauthorized", detail: "give a token" }, 401),
    );
    render(
      <QueryClientProvider client={new QueryClient()}>
        <List />
      </QueryClientProvider>,
    );
    await screen.findByText("A token is needed");
    const field = screen.getByLabelText<HTMLInputElement>("Access token");
    expect(field.type).toBe("password");
    fireEvent.change(field, { target: { value: " s3cret " } });
    fireEvent.click(screen.getByRole("button", { name: "Use it" }));
    await screen.findByText("there");
    expect(currentToken()).toBe("s3cret");
    expect(sessionStorage.length).toBe(1);
    expect(localStorage.length).toBe(0);
    expect(fetched.mock.calls.some(([url]) => url.includes("s3cret"))).toBe(false);
    expect(window.location.href).not.toContain("s3cret");
  });

  it("that may not do something can be taken back", async () => {
    setToken("weak");
    fetched.mockImplementation(() => json({ title: "Forbidden", detail: "the right `read` is missing" }, 403));
    render(
      <QueryClientProvider client={new QueryClient()}>
        <List />
      </QueryClientProvider>,
    );
    await screen.findByText("Not allowed");
    fireEvent.click(screen.getByRole("button", { name: "Forget the one in use" }));
    await waitFor(() => expect(new Headers(fetched.mock.calls.at(-1)![1].headers).get("authorization")).toBeNull());
    expect(sessionStorage.length).toBe(0);
  });
});

describe("who the reader is", () => {
  const limited = { name: "support", rights: ["read"], tenants: ["sha256:01"], namespaces: ["orders"], content: false };

  it("is said where a token is in use, with what it shows", async () => {
    setToken("t");
    fetched.mockImplementation(() => json(limited));
    render(
      <QueryClientProvider client={new QueryClient()}>
        <Who />
        <ErrorNotice error={new ApiError(404, "Not Found", "no run has that id")} />
      </QueryClientProvider>,
    );
    await screen.findByText("support", { exact: false, selector: "summary" });
    screen.getByText("Your token shows runs of namespace orders and 1 tenant.");
    screen.getByText("Prompts and other recorded data are not shown.");
    await screen.findByText(/What is of others is not told of/);
  });

  it("is not asked where no token is in use, and asked when one is entered", async () => {
    fetched.mockImplementation(() => json({ ...limited, tenants: null, namespaces: null, content: true }));
    const { container } = render(
      <QueryClientProvider client={new QueryClient()}>
        <Who />
      </QueryClientProvider>,
    );
    expect(container.textContent).toBe("");
    expect(fetched).not.toHaveBeenCalled();
    act(() => setToken("t"));
    await screen.findByText("Your token shows runs of all namespaces and all tenants.");
  });
});

describe("a stream", () => {
  const stream = (text: string[], type = "text/event-stream") => {
    const bytes = text.map((part) => new TextEncoder().encode(part));
    const body = new ReadableStream({ pull: (to) => (bytes.length ? to.enqueue(bytes.shift()!) : to.close()) });
    return Promise.resolve(new Response(body, { headers: { "content-type": type } }));
  };
  const follow = async () => {
    const events: string[] = [];
    const ended = new Client("", () => "t").follow("a/b", { run_id: "r", namespace: "n" }, (event) => events.push(event), new AbortController().signal);
    return [events, await ended.then(() => "ended", (error: ApiError) => error.title)];
  };

  it("tells each event until the end, whatever it is cut into", async () => {
    fetched.mockImplementation(() => stream([": keep\n\nid: 1\nevent: ro", "ws\ndata: {}\n", "\nid: 2\nevent: end\ndata: {}\n\n"]));
    expect(await follow()).toEqual([["rows", "end"], "ended"]);
    const [url, init] = fetched.mock.calls[0]!;
    expect(url).toBe("/executions/a%2Fb/trace/stream?run_id=r&namespace=n&all=false&data=false");
    expect(new Headers(init.headers).get("authorization")).toBe("Bearer t");
  });

  it("that breaks off or is none is an error", async () => {
    fetched.mockImplementation(() => stream(["id: 1\nevent: rows\ndata: {}\n\n"]));
    expect(await follow()).toEqual([["rows"], "Cut off"]);
    fetched.mockImplementation(() => stream(["{}"], "application/json"));
    expect(await follow()).toEqual([[], "No stream"]);
  });
});
