// Answers of routes that compare and count.
import type { components } from "./schema";

type Schemas = components["schemas"];

export interface ComparedSide {
  status: Schemas["Status"];
  started_offset_ms?: number | null;
  duration_ms?: number | null;
  attempts: number;
  error_type?: string | null;
  cost_usd?: number | null;
  tokens?: number | null;
}

export interface ComparedStep {
  event_key: string;
  kind: string;
  name: string;
  a: ComparedSide | null;
  b: ComparedSide | null;
  differs: string[];
}

export interface Compared {
  a: Schemas["Execution"];
  b: Schemas["Execution"];
  steps: ComparedStep[];
  differing: number;
}

export interface StatsHour {
  hour: string;
  workflow_type: string;
  started: number;
  completed: number;
  failed: number;
  other: number;
  open: number;
  error_rate: number;
  p50_ms?: number | null;
  p95_ms?: number | null;
  p99_ms?: number | null;
  input_tokens: number;
  output_tokens: number;
  cost_usd: number;
}

export interface Stats {
  hours: StatsHour[];
  types: Omit<StatsHour, "hour">[];
}
