// What the server answers, as its OpenAPI document has it.
import type { components, paths } from "./schema";

export type Status = components["schemas"]["Status"];
export type Execution = components["schemas"]["Execution"];
export type Executions = components["schemas"]["Executions"];
export type Trace = components["schemas"]["Trace"];
export type TraceNode = components["schemas"]["TraceNode"];
export type Failure = components["schemas"]["Failure"];
export type Link = components["schemas"]["Link"];
export type Problem = components["schemas"]["Problem"];

type Query<P extends keyof paths> = paths[P] extends { get: { parameters: { query?: infer Q } } }
  ? Partial<Record<keyof NonNullable<Q>, string>>
  : never;

export type ListQuery = Query<"/executions">;
export type TraceQuery = Query<"/executions/{execution_id}/trace">;

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

/** Asks a server, which is where the page comes from unless `base` says otherwise. */
export class Client {
  constructor(private readonly base = "") {}

  executions(query: ListQuery, signal?: AbortSignal): Promise<Executions> {
    return this.get("/executions", query, signal);
  }

  /** The whole trace: parts beyond what one answer holds are asked for and joined. */
  async trace(executionId: string, query: TraceQuery, signal?: AbortSignal): Promise<Trace> {
    const path = `/executions/${encodeURIComponent(executionId)}/trace`;
    const trace = await this.get<Trace>(path, query, signal);
    while (trace.root.more_children && query.depth === undefined) {
      const last = trace.root.children.at(-1);
      if (!last) break;
      // The same run, also when another began meanwhile.
      const rest = await this.get<Trace>(
        path,
        { ...query, namespace: trace.namespace, run_id: trace.run_id, after: last.event_key },
        signal,
      );
      trace.root.children.push(...rest.root.children);
      trace.root.more_children = rest.root.more_children;
    }
    return trace;
  }

  private async get<T>(path: string, query: object, signal?: AbortSignal): Promise<T> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
    const search = new URLSearchParams(given).toString();
    let response: Response;
    try {
      response = await fetch(`${this.base}${path}${search && `?${search}`}`, { signal });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, "No connection", "The server does not answer: see whether `omnitrace serve` still runs.");
    }
    if (response.ok) return (await response.json()) as T;
    const problem = (await response.json().catch(() => undefined)) as Problem | undefined;
    throw new ApiError(
      response.status,
      problem?.title ?? "Error",
      problem?.detail ?? `The server answered ${response.status}.`,
    );
  }
}
