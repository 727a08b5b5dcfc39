import { usePageKeys } from "../../components/hooks";
import type { Keys } from "../../components/KeyboardHelp";
import type { Row } from "../fns/rows";

export const TRACE_KEYS: Keys = [
  [["j", "↓"], "next row"],
  [["k", "↑"], "row before"],
  [["→", "l"], "open the row, or go into it"],
  [["←", "h"], "close the row, or go to what it is part of"],
  [["Enter"], "show or hide the details"],
  [["Esc"], "hide the details, or end the replay"],
  [["e"], "next error"],
  [["g", "Home"], "first row"],
  [["G", "End"], "last row"],
  [["*", "_"], "open all rows, close all"],
  [["/"], "search the rows"],
  [["r"], "replay, or end it"],
  [["Space"], "play, or stop"],
  [[".", ","], "event after, event before"],
  [["+", "-", "0"], "zoom in, out, show all"],
  [["Shift ←", "Shift →"], "move what is zoomed"],
  [["f"], "fold idle gaps, or not"],
  [["c"], "mark the critical path, or not"],
  [["[", "]"], "run before, run after"],
  [["u"], "parent run"],
  [["?"], "this list"],
];

interface Options {
  rows: Row[];
  active: string | undefined;
  panelOpen: boolean;
  move: (id: string) => void;
  toggle: (id: string, open: boolean) => void;
  open: (id: string | undefined) => void;
  /** What other keys do. */
  more: Record<string, (() => void) | undefined>;
}

/** The keyboard of a trace. */
export function useTraceKeys({ rows, active, panelOpen, move, toggle, open, more }: Options) {
  usePageKeys((event) => {
    const at = rows.findIndex((row) => row.id === active);
    const row = rows[at];
    const go = (to: number) => {
      const target = rows[Math.min(Math.max(to, 0), rows.length - 1)];
      if (target) move(target.id);
    };
    const focused = event.target as HTMLElement;
    const actions: Record<string, (() => void) | undefined> = {
      j: () => go(at + 1),
      ArrowDown: () => go(at + 1),
      k: () => go(at - 1),
      ArrowUp: () => go(at - 1),
      g: () => go(0),
      Home: () => go(0),
      G: () => go(rows.length - 1),
      End: () => go(rows.length - 1),
      Enter: () => row && open(panelOpen ? undefined : row.id),
      ArrowRight: () => row?.expandable && (row.open ? go(at + 1) : toggle(row.id, true)),
      ArrowLeft: () => row && (row.open ? toggle(row.id, false) : row.parent && move(row.parent)),
      ...more,
    };
    actions.l = actions.ArrowRight;
    actions.h = actions.ArrowLeft;
    const action = actions[event.shiftKey && event.key.startsWith("Arrow") ? `Shift${event.key}` : event.key];
    // Enter and space on a button or a link are the button's, arrows in a scrolling text are the text's.
    if (!action || ((event.key === "Enter" || event.key === " ") && focused.closest("a, button, summary"))) return;
    if (event.key.startsWith("Arrow") && focused.closest(".panel")) return;
    event.preventDefault();
    action();
  });
}
