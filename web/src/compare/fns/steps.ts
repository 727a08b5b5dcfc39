// The steps of two runs as a reader goes through them. Pure.
import type { Compared, ComparedStep } from "../../api/client";

const ONLY_TIME = new Set(["duration_ms", "started_offset_ms"]);

/** Whether more than its times differ. */
export const differsInMore = (step: ComparedStep) => step.differs.some((what) => !ONLY_TIME.has(what));

/** The steps that are shown: what differs first, and of the rest nothing unless all are wanted. */
export function shownSteps({ steps }: Compared, all: boolean): ComparedStep[] {
  const first = steps.filter(differsInMore);
  const times = steps.filter((step) => step.differs.length > 0 && !differsInMore(step));
  return all ? [...first, ...times, ...steps.filter((step) => step.differs.length === 0)] : [...first, ...times];
}

const WORDS: Record<string, string> = {
  status: "status",
  attempts: "attempts",
  error_type: "error",
  cost_usd: "cost",
  tokens: "tokens",
  duration_ms: "duration",
  started_offset_ms: "start",
};

/** What differs, in words. */
export function differences(step: ComparedStep): string[] {
  if (!step.a) return ["only in B"];
  if (!step.b) return ["only in A"];
  return step.differs.map((what) => WORDS[what] ?? what.replaceAll("_", " "));
}

/** How much longer B took, in milliseconds. */
export function longer({ a, b }: ComparedStep): number | undefined {
  return a?.duration_ms != null && b?.duration_ms != null ? b.duration_ms - a.duration_ms : undefined;
}
