import { useEffect, useState } from "react";

/** The time, every so often; stands still while `running` is false. */
export function useNow(running: boolean, every = 1000): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!running) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [running, every]);
  return now;
}

/** What the browser calls the page. */
export function useTitle(title: string | undefined) {
  useEffect(() => {
    document.title = [title, "OmniTrace"].filter(Boolean).join(" · ");
  }, [title]);
}

/** Calls for keys that are meant for the page: not while somebody writes. */
export function usePageKeys(onKey: (event: KeyboardEvent) => void) {
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const writes = target.closest("input, select, textarea, dialog");
      if (!writes && !event.ctrlKey && !event.metaKey && !event.altKey) onKey(event);
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  });
}

/** Focus goes from one thing of a list to the next, or the one before. */
export function moveFocus(step: number) {
  const all = [...document.querySelectorAll<HTMLElement>("[data-run]")];
  const at = all.indexOf(document.activeElement as HTMLElement);
  const next = at < 0 && step < 0 ? all.length - 1 : at + step;
  all[Math.min(Math.max(next, 0), all.length - 1)]?.focus();
}
