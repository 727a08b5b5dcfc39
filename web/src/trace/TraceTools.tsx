import { useMemo, type RefObject } from "react";
import type { Trace } from "../api/client";
import { Checks, Menu } from "../components/Menu";
import { StatusBadge } from "../components/StatusBadge";
import { Written } from "../components/Written";
import { thousands } from "../components/format";
import { statusOf } from "../components/status";
import { DownloadMenu } from "./DownloadMenu";
import type { Row } from "./fns/rows";
import { occurring, type View } from "./fns/view";
import type { ChangeView } from "./hooks/useView";

interface Props {
  trace: Trace;
  rows: Row[];
  /** How many rows are what is looked for, if anything is. */
  found: number | undefined;
  /** How a run that goes on is followed. */
  live: "streams" | "looks" | undefined;
  search: RefObject<HTMLInputElement | null>;
  view: View;
  change: ChangeView;
  onEvery: (open: boolean) => void;
  onNextError?: () => void;
  onReplay: () => void;
}

/** What can be done with the rows, and what their bars mean. */
export function TraceTools(props: Props) {
  const { trace, rows, found, live, search, view, change, onEvery, onNextError, onReplay } = props;
  return (
    <div className="trace-tools">
      <label>
        <span className="visually-hidden">Search the rows</span>
        <Written
          name="q"
          value={view.q ?? ""}
          placeholder="Search rows ( / )"
          onChange={(q) => change({ q: q || undefined })}
          inputRef={search}
        />
      </label>
      <FilterMenu trace={trace} view={view} change={change} />
      <ShowMenu view={view} change={change} onEvery={onEvery} />
      <button onClick={onNextError} disabled={!onNextError} title="e">
        Next error
      </button>
      <button onClick={onReplay} aria-pressed={view.at !== undefined} title="r">
        Replay
      </button>
      <DownloadMenu trace={trace} rows={rows} />
      <span className="muted" role="status">
        {found === undefined ? `${thousands(trace.event_count)} events` : `${thousands(found)} found`}
        {trace.root.more_children ? `; ${thousands(trace.root.children.length)} steps are here, more are coming …` : ""}
      </span>
      {live && (
        <span className="tone-live" title={live === "streams" ? "Rows come as they land" : "Looked at every second"}>
          ▸ live
        </span>
      )}
      <Legend />
    </div>
  );
}

function FilterMenu({ trace, view, change }: Pick<Props, "trace" | "view" | "change">) {
  const { kinds, statuses } = useMemo(() => occurring(trace.root), [trace.root]);
  const chosen = [view.status, view.kind, view.min_ms].filter(Boolean).length;
  return (
    <Menu title="Filter" chosen={chosen}>
      <Checks
        title="Status"
        all={statuses.map((status) => ({ value: status, label: <StatusBadge state={statusOf(status)} /> }))}
        chosen={view.status}
        onChange={(status) => change({ status })}
      />
      <Checks
        title="Kind"
        all={kinds.map((kind) => ({ value: kind, label: kind.replaceAll("_", " ") }))}
        chosen={view.kind}
        onChange={(kind) => change({ kind })}
      />
      <label>
        Took at least (ms){" "}
        <Written name="min_ms" value={view.min_ms ?? ""} placeholder="100" onChange={(min_ms) => change({ min_ms: min_ms || undefined })} />
      </label>
      <button disabled={chosen === 0} onClick={() => change({ status: undefined, kind: undefined, min_ms: undefined })}>
        Clear
      </button>
    </Menu>
  );
}

function ShowMenu({ view, change, onEvery }: Pick<Props, "view" | "change" | "onEvery">) {
  const switches: [string, boolean, View][] = [
    ["Errors first", view.first === "errors", { first: view.first ? undefined : "errors" }],
    ["Fold idle gaps", view.fold !== "off", { fold: view.fold ? undefined : "off" }],
    ["Critical path", view.path === "on", { path: view.path ? undefined : "on" }],
  ];
  return (
    <Menu title="Show">
      {switches.map(([name, on, next]) => (
        <label key={name}>
          <input type="checkbox" checked={on} onChange={() => change(next)} /> {name}
        </label>
      ))}
      <button onClick={() => onEvery(true)}>Expand all</button>
      <button onClick={() => onEvery(false)}>Collapse all</button>
    </Menu>
  );
}

function Legend() {
  const swatches: [string, string][] = [
    ["bar-work", "work"],
    ["bar-work bar-bad", "failed"],
    ["bar-wait", "waiting"],
    ["bar-point", "moment"],
  ];
  return (
    <div className="legend" aria-hidden="true">
      {swatches.map(([bar, name]) => (
        <span key={name}>
          <i className="swatch">
            <i className={`bar ${bar}`} style={bar === "bar-point" ? { left: 9 } : { left: 0, width: 18 }} />
          </i>{" "}
          {name}
        </span>
      ))}
    </div>
  );
}
