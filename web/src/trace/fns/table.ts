// The rows of a view as data that another program reads. Pure.
import type { Trace } from "../../api/client";
import { toCsv } from "../../components/files";
import type { Row } from "./rows";

const COLUMNS = [
  "event_key",
  "depth",
  "kind",
  "category",
  "name",
  "attempt",
  "status",
  "scheduled_at",
  "started_at",
  "ended_at",
  "duration_ms",
  "waiting_ms",
  "model",
  "input_tokens",
  "output_tokens",
  "cost_usd",
  "error_type",
  "error_message",
] as const;

type Line = Partial<Record<(typeof COLUMNS)[number], string | number | null>>;

const lineOf = ({ node, depth }: Row): Line => ({
  ...(node as Pick<typeof node, keyof typeof node & keyof Line>),
  depth,
  input_tokens: node.token_usage?.prompt,
  output_tokens: node.token_usage?.completion,
  error_type: node.error?.type,
  error_message: node.error?.message,
});

export const rowsAsCsv = (rows: Row[]) =>
  toCsv(
    [...COLUMNS],
    rows.map((row) => {
      const line = lineOf(row);
      return COLUMNS.map((column) => line[column]);
    }),
  );

export function rowsAsJson(trace: Trace, rows: Row[]): string {
  const { execution_id, run_id, namespace, workflow_type, status, started_at, ended_at } = trace;
  const lines = rows.map((row) => {
    const line = lineOf(row);
    return Object.fromEntries(COLUMNS.map((column) => [column, line[column] ?? null]));
  });
  return JSON.stringify({ execution_id, run_id, namespace, workflow_type, status, started_at, ended_at, rows: lines }, null, 2);
}
