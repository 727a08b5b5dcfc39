import type { Executions } from "../api/client";
import { StatusBadge } from "../components/StatusBadge";
import { thousands } from "../components/format";
import { RUN_STATUSES, statusOf } from "../components/status";
import { statusesOf, toggleStatus, type Search } from "./fns/search";

interface Props {
  counts: Executions["counts"];
  search: Search;
  onChange: (search: Search) => void;
}

/** How many runs have which status; choosing one narrows the list to it. */
export function StatusCounts({ counts, search, onChange }: Props) {
  const chosen = statusesOf(search);
  const of = counts?.by_status ?? {};
  const all = Object.values(of).reduce((sum, n) => sum + n, 0);
  return (
    <div className="counts" role="group" aria-label="Statuses">
      <button className="count" aria-pressed={chosen.length === 0} onClick={() => onChange({ ...search, status: undefined })}>
        all<span className="count-number">{thousands(all)}{counts?.more && "+"}</span>
      </button>
      {RUN_STATUSES.filter((status) => of[status] || chosen.includes(status)).map((status) => (
        <button
          key={status}
          className="count"
          aria-pressed={chosen.includes(status)}
          onClick={() => onChange(toggleStatus(search, status))}
        >
          <StatusBadge state={statusOf(status)} />
          <span className="count-number">{thousands(of[status] ?? 0)}</span>
        </button>
      ))}
    </div>
  );
}
