import { usePageKeys } from "../../components/hooks";
import type { Keys } from "../../components/KeyboardHelp";
import type { Row } from "../fns/rows";

export const TRACE_KEYS: Keys = [
  [["j", "↓"], "next row"],
  [["k", "↑"], "row before"],
  [["→", "l"], "open the row, or go into it"],
  [["←", "h"], "close the row, or go to what it is part of"],
  [["Enter"], "show or hide the details"],
  [["Esc"], "hide the details"],
  [["e"], "next error"],
  [["g", "Home"], "first row"],
  [["G", "End"], "last row"],
  [["?"], "this list"],
];

interface Options {
  rows: Row[];
  active: string | undefined;
  panelOpen: boolean;
  move: (id: string) => void;
  toggle: (id: string, open: boolean) => void;
  open: (id: string | undefined) => void;
  onNextError: () => void;
}

/** The keyboard of a trace. */
export function useTraceKeys({ rows, active, panelOpen, move, toggle, open, onNextError }: Options) {
  usePageKeys((event) => {
    const at = rows.findIndex((row) => row.id === active);
    const row = rows[at];
    const go = (to: number) => {
      const target = rows[Math.min(Math.max(to, 0), rows.length - 1)];
      if (target) move(target.id);
    };
    const focused = event.target as HTMLElement;
    const actions: Record<string, () => void> = {
      j: () => go(at + 1),
      ArrowDown: () => go(at + 1),
      k: () => go(at - 1),
      ArrowUp: () => go(at - 1),
      g: () => go(0),
      Home: () => go(0),
      G: () => go(rows.length - 1),
      End: () => go(rows.length - 1),
      e: onNextError,
      Escape: () => open(undefined),
      Enter: () => row && open(panelOpen ? undefined : row.id),
      ArrowRight: () => row?.expandable && (row.open ? go(at + 1) : toggle(row.id, true)),
      ArrowLeft: () => row && (row.open ? toggle(row.id, false) : row.parent && move(row.parent)),
    };
    actions.l = actions.ArrowRight!;
    actions.h = actions.ArrowLeft!;
    const action = actions[event.key];
    // Enter on a button or a link is the button's, arrows in a scrolling text are the text's.
    if (!action || (event.key === "Enter" && focused.closest("a, button, summary"))) return;
    if (event.key.startsWith("Arrow") && focused.closest(".panel")) return;
    event.preventDefault();
    action();
  });
}
