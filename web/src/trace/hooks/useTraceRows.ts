import { useCallback, useMemo, useState } from "react";
import type { Trace } from "../../api/client";
import { flatten, idOf, nextError, pathTo, reveal, setAll, type Openness } from "../fns/rows";
import { errorsFirst, foundIn, keep, matcher, type View } from "../fns/view";

/** The rows that are shown, which of them a reader is at, and what was opened and closed. */
export function useTraceRows(
  trace: Trace,
  view: View,
  selected: string | undefined,
  select: (id: string | undefined) => void,
) {
  const [openness, setOpenness] = useState<Openness>(new Map());
  const [cursor, setCursor] = useState<string | undefined>(selected);
  const { q, status, kind, min_ms, first } = view;
  const root = useMemo(() => (first === "errors" ? errorsFirst(trace.root) : trace.root), [trace.root, first]);
  const kept = useMemo(() => {
    const matches = matcher({ q, status, kind, min_ms });
    return matches && keep(root, matches);
  }, [root, q, status, kind, min_ms]);
  const path = useMemo(() => (selected ? pathTo(root, selected) : []), [root, selected]);
  const shownOpenness = useMemo(
    () => (selected ? reveal(root, selected, openness) : openness),
    [root, selected, openness],
  );
  const rows = useMemo(() => flatten(root, shownOpenness, kept), [root, shownOpenness, kept]);
  const selectedNode = path.at(-1);
  const active = selectedNode ? idOf(selectedNode) : cursor;

  const choose = useCallback(
    (id: string | undefined) => {
      if (id !== undefined) setCursor(id);
      select(id);
    },
    [select],
  );
  return {
    rows,
    found: kept && foundIn(kept),
    active,
    selectedNode,
    choose,
    move: (id: string) => (selected === undefined ? setCursor(id) : choose(id)),
    toggle: useCallback(
      (id: string, open: boolean) => {
        // Closing over the row that is shown takes the reader to what was closed.
        if (!open && path.slice(0, -1).some((node) => idOf(node) === id)) choose(id);
        setOpenness((before) => new Map(before).set(id, open));
      },
      [path, choose],
    ),
    setEvery: (open: boolean) => {
      setOpenness(setAll(root, open));
      if (!open && selected) select(undefined);
    },
    nextError: () => {
      const next = nextError(root, active);
      if (!next) return;
      setOpenness(reveal(root, next, openness));
      choose(next);
    },
  };
}
