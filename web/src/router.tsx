import { Outlet, createRootRoute, createRoute, createRouter, useRouter } from "@tanstack/react-router";
import { useCallback } from "react";
import { ComparePage } from "./compare/ComparePage";
import { ErrorNotice, Notice } from "./components/Notice";
import { GoContext } from "./components/go";
import { ExecutionsPage } from "./executions/ExecutionsPage";
import { readSearch } from "./executions/fns/search";
import { TracePage } from "./trace/TracePage";
import { VIEW_NAMES, type View } from "./trace/fns/view";

const root = createRootRoute({
  component: Site,
  errorComponent: ({ error }) => <ErrorNotice error={error instanceof Error ? error : new Error(String(error))} onRetry={() => window.location.reload()} />,
  notFoundComponent: () => (
    <Notice title="There is no such page">
      <p>
        <a href="/">See all runs</a>
      </p>
    </Notice>
  ),
});

function Site() {
  const { history } = useRouter();
  const go = useCallback((href: string) => history.push(href), [history]);
  return (
    <GoContext value={go}>
      <Outlet />
    </GoContext>
  );
}

const executions = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: readSearch,
  component: ExecutionsPage,
});

/** Texts out of an address, by name; what is empty or not known is left out. */
const texts = <Name extends string>(names: readonly Name[], raw: Record<string, unknown>) => {
  const found: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const value = raw[name];
    if (typeof value === "string" && value !== "") found[name] = value;
  }
  return found;
};

interface TraceSearch extends View {
  id?: string;
  run?: string;
  namespace?: string;
  row?: string;
}

const trace = createRoute({
  getParentRoute: () => root,
  path: "/trace",
  validateSearch: (raw): TraceSearch => texts(["id", "run", "namespace", "row", ...VIEW_NAMES], raw),
  component: TracePage,
});

const compare = createRoute({
  getParentRoute: () => root,
  path: "/compare",
  validateSearch: (raw) => texts(["a", "b", "a_run", "b_run", "namespace", "steps"], raw),
  component: ComparePage,
});

export const router = createRouter({
  routeTree: root.addChildren([executions, trace, compare]),
  // Plain texts, as everybody else writes them: an id of digits stays an id.
  parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
  stringifySearch: (search) => {
    const given = Object.entries(search).filter(([, value]) => value !== undefined && value !== "");
    const query = new URLSearchParams(given as [string, string][]).toString();
    return query && `?${query}`;
  },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
