import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useClient } from "../api/context";
import { duration, thousands } from "../components/format";
import { useNow } from "../components/hooks";
import { retry } from "../api/useMe";
import { BarChart, type Series } from "./BarChart";
import { HOUR, byHour, totals, type Hour } from "./fns/stats";
import type { Search } from "./fns/search";

const HOURS = 24;

const RUNS: Series<Hour>[] = [
  { name: "completed", tone: "ok", of: (hour) => hour.completed },
  { name: "open", tone: "live", of: (hour) => hour.open },
  { name: "other ends", tone: "muted", of: (hour) => hour.other },
  { name: "failed", tone: "bad", of: (hour) => hour.failed },
];
const TIMES: Series<Hour>[] = [
  { name: "half took less (p50)", tone: "ok", of: (hour) => hour.p50 ?? 0 },
  { name: "19 of 20 took less (p95)", tone: "muted", of: (hour) => Math.max(0, (hour.p95 ?? 0) - (hour.p50 ?? 0)), shown: (hour) => hour.p95 ?? 0 },
];

/** How many runs began in each of the last hours, how they ended, and how long they took. */
export function StatsCharts({ search }: { search: Search }) {
  const client = useClient();
  // The hour that goes on is the last.
  const to = (Math.floor(useNow(true, 60_000) / HOUR) + 1) * HOUR;
  const from = to - HOURS * HOUR;
  // The numbers are of types and namespaces; a pattern or another filter narrows the list alone.
  const workflow_type = search.type?.includes("*") ? undefined : search.type;
  const query = useQuery({
    queryKey: ["stats", from, workflow_type, search.namespace],
    queryFn: ({ signal }) => {
      const [since, until] = [from, to].map((at) => new Date(at).toISOString());
      return client.stats({ from: since, to: until, workflow_type, namespace: search.namespace }, signal);
    },
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
    retry,
  });
  const hours = useMemo(() => byHour(query.data?.hours ?? [], from, to - 1), [query.data, from, to]);
  if (!query.data) return null;
  const { completed, failed, other, open, errorRate } = totals(hours);
  const all = completed + failed + other + open;
  if (all === 0) return null;
  const of = workflow_type ?? "all types";
  return (
    <div className="charts">
      <BarChart
        title={`Runs begun in the last ${HOURS} hours, ${of}`}
        said={`${thousands(all)} runs, ${(100 * errorRate).toFixed(1)} % of those that ended failed`}
        hours={hours}
        series={RUNS}
        write={thousands}
      />
      <BarChart
        title={`How long they took, ${workflow_type ? of : "the slowest type"}`}
        said={`at most ${duration(Math.max(0, ...hours.map((hour) => hour.p95 ?? 0)))} (p95)`}
        hours={hours}
        series={TIMES}
        write={duration}
      />
    </div>
  );
}
