import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Trace } from "../../api/client";
import { parseTime } from "../../components/format";
import { momentsOf, stepFrom, traceAt, writeMoment, type Moment } from "../fns/moment";
import type { Scale } from "../fns/scale";

/** Milliseconds that the moment rests until the address tells it. */
export const REST = 200;
/** Milliseconds between two pictures while it plays. */
const PICTURE = 33;

export interface Replay {
  /** The moment that is shown; nothing while the run is shown as it is. */
  at: number | undefined;
  /** The run at that moment. */
  shown: Trace;
  moments: Moment[];
  playing: boolean;
  /** Seconds that playing the whole run takes. */
  seconds: number;
  setSeconds: (seconds: number) => void;
  seek: (at: number) => void;
  step: (by: 1 | -1) => void;
  toggle: () => void;
  start: () => void;
  leave: () => void;
}

/** Moves through a run in time. `given` is the moment as the address has it. */
export function useReplay(
  trace: Trace,
  whole: Scale,
  given: string | undefined,
  onAt: (at: string | undefined) => void,
): Replay {
  // What the address does not say yet.
  const [ahead, setAhead] = useState<number>();
  const [playing, setPlaying] = useState(false);
  const [seconds, setSeconds] = useState(15);
  const told = parseTime(given);
  const at = ahead ?? told;
  const active = at !== undefined;
  const moments = useMemo(() => (active ? momentsOf(trace.root) : []), [active, trace.root]);
  const shown = useMemo(() => (at === undefined ? trace : traceAt(trace, at)), [trace, at]);

  // The address caught up; or it did with a moment that the reader has left meanwhile.
  useEffect(() => {
    setAhead((now) => (now !== undefined && given !== undefined && writeMoment(now) !== given ? now : undefined));
  }, [given]);
  useEffect(() => {
    if (ahead === undefined || playing) return;
    const timer = setTimeout(() => onAt(writeMoment(ahead)), REST);
    return () => clearTimeout(timer);
  }, [ahead, playing]);

  const latest = useRef({ at, whole });
  latest.current = { at, whole };
  useEffect(() => {
    if (!playing) return;
    let last = performance.now();
    let percent = latest.current.whole.percent(latest.current.at ?? -Infinity);
    let frame = requestAnimationFrame(function picture(now) {
      frame = requestAnimationFrame(picture);
      if (now - last < PICTURE) return;
      percent += (100 * (now - last)) / (seconds * 1000);
      last = now;
      setAhead(latest.current.whole.time(percent));
      if (percent >= 100) setPlaying(false);
    });
    return () => cancelAnimationFrame(frame);
  }, [playing, seconds]);

  const seek = useCallback((to: number) => {
    const { from, to: end } = latest.current.whole.range;
    setAhead(Math.min(Math.max(to, from), end));
  }, []);
  const { from, to } = whole.range;
  return {
    at,
    shown,
    moments,
    playing,
    seconds,
    setSeconds,
    seek: (moment) => {
      setPlaying(false);
      seek(moment);
    },
    step: (by) => {
      setPlaying(false);
      seek(stepFrom(moments.length ? moments : momentsOf(trace.root), at ?? (by === 1 ? from : to), by) ?? (by === 1 ? to : from));
    },
    toggle: () => {
      // From the end it begins anew.
      if (!playing && (at === undefined || at >= to)) seek(from);
      setPlaying(!playing);
    },
    start: () => seek(at ?? from),
    leave: () => {
      setPlaying(false);
      setAhead(undefined);
      onAt(undefined);
    },
  };
}
