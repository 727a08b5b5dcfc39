// What the server answers, as its OpenAPI document has it.
import { createParser } from "eventsource-parser";
import type { components, paths } from "./schema";

export type Status = components["schemas"]["Status"];
export type Execution = components["schemas"]["Execution"];
export type Executions = components["schemas"]["Executions"];
export type Trace = components["schemas"]["Trace"];
export type TraceNode = components["schemas"]["TraceNode"];
export type Failure = components["schemas"]["Failure"];
export type Link = components["schemas"]["Link"];
export type Problem = components["schemas"]["Problem"];
export type Compared = components["schemas"]["Comparison"];
export type ComparedStep = components["schemas"]["ComparedStep"];
export type ComparedSide = components["schemas"]["Side"];
export type Stats = components["schemas"]["Stats"];
export type StatsHour = components["schemas"]["TypeStats"];
export type Me = components["schemas"]["Me"];
export type Rows = components["schemas"]["StreamRows"];

type Query<P extends keyof paths> = paths[P] extends { get: { parameters: { query?: infer Q } } }
  ? Partial<Record<keyof NonNullable<Q>, string>>
  : never;

export type ListQuery = Query<"/executions">;
export type TraceQuery = Query<"/executions/{execution_id}/trace">;
export interface CompareQuery {
  a: string;
  b: string;
  a_run_id?: string;
  b_run_id?: string;
  namespace?: string;
}
export interface StatsQuery {
  from?: string;
  to?: string;
  workflow_type?: string;
  namespace?: string;
}

/** Why the server did not answer what was asked. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    message: string,
  ) {
    super(message);
  }
}

const encoded = (executionId: string) => `/executions/${encodeURIComponent(executionId)}`;

/**
 * Asks a server, which is where the page comes from unless `base` says otherwise, as whoever `token`
 * stands for.
 */
export class Client {
  constructor(
    private readonly base = "",
    private readonly token: () => string | undefined = () => undefined,
  ) {}

  /** Whether the server is told who asks. */
  hasToken(): boolean {
    return this.token() !== undefined;
  }

  /** Who asks, and what they may see. */
  me(signal?: AbortSignal): Promise<Me> {
    return this.get("/me", {}, signal);
  }

  executions(query: ListQuery, signal?: AbortSignal): Promise<Executions> {
    return this.get("/executions", query, signal);
  }

  stats(query: StatsQuery, signal?: AbortSignal): Promise<Stats> {
    return this.get("/stats", query, signal);
  }

  compare(query: CompareQuery, signal?: AbortSignal): Promise<Compared> {
    return this.get("/executions/compare", query, signal);
  }

  /**
   * The whole trace: parts beyond what one answer holds are asked for and joined. `onPart` is told what
   * is there while more is to come.
   */
  async trace(
    executionId: string,
    query: TraceQuery,
    signal?: AbortSignal,
    onPart?: (trace: Trace) => void,
  ): Promise<Trace> {
    const path = `${encoded(executionId)}/trace`;
    let trace = await this.get<Trace>(path, query, signal);
    while (trace.root.more_children && query.depth === undefined) {
      const last = trace.root.children.at(-1);
      if (!last) break;
      onPart?.(trace);
      // The same run, also when another began meanwhile.
      const rest = await this.get<Trace>(
        path,
        { ...query, namespace: trace.namespace, run_id: trace.run_id, after: last.event_key },
        signal,
      );
      const children = [...trace.root.children, ...rest.root.children];
      trace = { ...trace, root: { ...trace.root, children, more_children: rest.root.more_children } };
    }
    return trace;
  }

  /** Calls for each change of a run that goes on, first with none, until the server says that it has ended. */
  async follow(
    executionId: string,
    query: { run_id: string; namespace: string },
    onEvent: (event: string, data: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const path = `${encoded(executionId)}/trace/stream`;
    const response = await this.ask(path, { ...query, all: "false", data: "false" }, signal, "text/event-stream");
    if (!response.body || !response.headers.get("content-type")?.startsWith("text/event-stream")) {
      throw new ApiError(response.status, "No stream", "The server does not stream this run.");
    }
    let ended = false;
    const parser = createParser({
      onEvent: ({ event = "message", data }) => {
        ended ||= event === "end";
        onEvent(event, data);
      },
    });
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    try {
      while (!ended) {
        const { value, done } = await reader.read();
        if (done) break;
        parser.feed(decoder.decode(value, { stream: true }));
      }
    } finally {
      void reader.cancel().catch(() => undefined);
    }
    if (!ended) throw new ApiError(0, "Cut off", "The stream of the run was cut.");
  }

  /** The run as a file. */
  async file(executionId: string, query: { format: string; run_id?: string; namespace?: string }): Promise<Blob> {
    return (await this.ask(`${encoded(executionId)}/export`, query, undefined, "*/*")).blob();
  }

  private async get<T>(path: string, query: object, signal?: AbortSignal): Promise<T> {
    return (await (await this.ask(path, query, signal, "application/json")).json()) as T;
  }

  private async ask(path: string, query: object, signal: AbortSignal | undefined, accept: string): Promise<Response> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
    const search = new URLSearchParams(given).toString();
    const token = this.token();
    const headers = { accept, ...(token ? { authorization: `Bearer ${token}` } : {}) };
    let response: Response;
    try {
      response = await fetch(`${this.base}${path}${search && `?${search}`}`, { signal, headers });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, "No connection", "The server does not answer: see whether `omnitrace serve` still runs.");
    }
    if (response.ok) return response;
    const problem = (await response.json().catch(() => undefined)) as Problem | undefined;
    throw new ApiError(
      response.status,
      problem?.title ?? "Error",
      problem?.detail ?? `The server answered ${response.status}.`,
    );
  }
}
