import type { Status, TraceNode } from "../api/client";

export type Tone = "ok" | "bad" | "warn" | "live" | "muted";

/** The glyphs are those of the command line. */
const STATUSES: Record<Status, { glyph: string; word: string; tone: Tone }> = {
  scheduled: { glyph: "○", word: "scheduled", tone: "muted" },
  running: { glyph: "▸", word: "running", tone: "live" },
  completed: { glyph: "✓", word: "completed", tone: "ok" },
  failed: { glyph: "✗", word: "failed", tone: "bad" },
  canceled: { glyph: "⊘", word: "canceled", tone: "warn" },
  terminated: { glyph: "■", word: "terminated", tone: "bad" },
  timed_out: { glyph: "◷", word: "timed out", tone: "bad" },
  continued_as_new: { glyph: "↻", word: "continued as new", tone: "muted" },
  lost: { glyph: "?", word: "lost", tone: "bad" },
};

/** Those that a run can have, in the order in which they are counted. */
export const RUN_STATUSES: Status[] = [
  "running",
  "completed",
  "failed",
  "timed_out",
  "canceled",
  "terminated",
  "continued_as_new",
];

export const statusOf = (status: Status) => STATUSES[status];

export const isOpen = (status: Status) => status === "scheduled" || status === "running";

export const isError = (status: Status) => STATUSES[status].tone === "bad";

/** What is said of a node: a proposal and what never ended are not what their status says. */
export function stateOf(node: Pick<TraceNode, "status" | "provisional" | "left_open">) {
  if (node.provisional) return { glyph: "◌", word: "proposed", tone: "muted" as Tone };
  if (node.left_open) {
    return { glyph: "…", word: `${STATUSES[node.status].word}, never ended`, tone: "muted" as Tone };
  }
  return STATUSES[node.status];
}
