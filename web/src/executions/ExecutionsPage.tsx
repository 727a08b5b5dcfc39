import { getRouteApi } from "@tanstack/react-router";
import { useContext, useRef, useState } from "react";
import type { Execution } from "../api/client";
import { isLimited, useMe } from "../api/useMe";
import { GoContext } from "../components/go";
import { KeyboardHelp, type Keys } from "../components/KeyboardHelp";
import { ErrorNotice, Loading, Notice } from "../components/Notice";
import { Top } from "../components/Top";
import { seenBy } from "../components/Who";
import { localTime } from "../components/format";
import { moveFocus, useNow, usePageKeys, useTitle } from "../components/hooks";
import { ExecutionsTable } from "./ExecutionsTable";
import { ListTools } from "./ListTools";
import { StatsCharts } from "./StatsCharts";
import { Filters } from "./Filters";
import { StatusCounts } from "./StatusCounts";
import { compareTwo } from "./fns/choice";
import { isNarrowed, type Search } from "./fns/search";
import { useExecutions } from "./useExecutions";

const route = getRouteApi("/");

const KEYS: Keys = [
  [["j", "↓"], "next run"],
  [["k", "↑"], "run before"],
  [["Enter"], "open the run"],
  [["x"], "choose the run to compare it, or not"],
  [["c"], "compare the two runs that are chosen"],
  [["/"], "search"],
  [["?"], "this list"],
];

/** All recorded runs. */
export function ExecutionsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [help, setHelp] = useState(false);
  useTitle("Executions");
  const text = useRef<HTMLInputElement>(null);
  const [chosen, setChosen] = useState<Execution[]>([]);
  const go = useContext(GoContext);
  const query = useExecutions(search);
  const now = useNow(true);
  const onChange = (search: Search) => void navigate({ search, replace: true });
  usePageKeys((event) => {
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    if (step) moveFocus(step);
    else if (event.key === "/") text.current?.focus();
    else if (event.key === "x") document.activeElement?.closest("tr")?.querySelector<HTMLElement>("[type=checkbox]")?.click();
    else if (event.key === "c" && chosen.length === 2) go(compareTwo(chosen));
    else if (event.key === "?") setHelp(true);
    else return;
    event.preventDefault();
  });

  const pages = query.data?.pages ?? [];
  const runs = distinct(pages.flatMap((page) => page.executions));
  const lookedUntil = pages.at(-1)?.looked_until;
  return (
    <div className="page">
      <Top onHelp={() => setHelp(true)} />
      <main className="executions" id="main">
        <h1 className="visually-hidden">Executions</h1>
        {!(query.error && runs.length === 0) && <StatusCounts counts={pages[0]?.counts} search={search} onChange={onChange} />}
        <Filters search={search} onChange={onChange} text={text} />
        {query.isPending && <Loading what="runs" />}
        {query.error && <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />}
        {query.isSuccess && <StatsCharts search={search} />}
        {runs.length > 0 && <ListTools runs={runs} chosen={chosen} onClear={() => setChosen([])} />}
        {runs.length > 0 && <ExecutionsTable runs={runs} now={now} chosen={chosen} onChoose={setChosen} />}
        {query.isSuccess && runs.length === 0 && <Empty narrowed={isNarrowed(search)} until={lookedUntil} />}
        {query.hasNextPage && (
          <p className="runs-more">
            {lookedUntil && <span className="muted">Looked at runs back to {localTime(lookedUntil)}. </span>}
            <button onClick={() => void query.fetchNextPage()} disabled={query.isFetchingNextPage}>
              {query.isFetchingNextPage ? "Loading …" : lookedUntil ? "Look further back" : "Older runs"}
            </button>
          </p>
        )}
      </main>
      {help && <KeyboardHelp keys={KEYS} onClose={() => setHelp(false)} />}
    </div>
  );
}

/** An old run that is found by the beginning of its id comes once more where it belongs. */
function distinct(runs: Execution[]): Execution[] {
  const of = (run: Execution) => `${run.namespace} ${run.execution_id} ${run.run_id}`;
  return [...new Map(runs.map((run) => [of(run), run])).values()];
}

function Empty({ narrowed, until }: { narrowed: boolean; until: string | null | undefined }) {
  const me = useMe();
  if (!narrowed && me && isLimited(me)) {
    return (
      <Notice title="No run is recorded yet, or none that your token shows">
        <p>{seenBy(me)}</p>
      </Notice>
    );
  }
  return narrowed ? (
    <Notice title={until ? "No run matches so far" : "No run matches"}>
      <p>Take a filter away to see more.</p>
    </Notice>
  ) : (
    <Notice title="No run is recorded yet">
      <p>
        Start a worker with the plugin that records into this database. Runs appear here by themselves; if they do
        not, <code>omnitrace doctor</code> says why.
      </p>
    </Notice>
  );
}
