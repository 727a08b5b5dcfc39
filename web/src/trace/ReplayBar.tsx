import { useMemo } from "react";
import { clockTime, duration } from "../components/format";
import { happened, writeMoment } from "./fns/moment";
import type { Scale } from "./fns/scale";
import type { Replay } from "./hooks/useReplay";

/** Steps of the scrubber over the whole run. */
const STEPS = 10_000;
const SECONDS = [5, 15, 60];

/** Moves through the run in time. */
export function ReplayBar({ replay, at, whole }: { replay: Replay; at: number; whole: Scale }) {
  const offset = duration(at - whole.range.from);
  const now = useMemo(() => happened(replay.moments, at), [replay.moments, at]);
  const [first, ...more] = now;
  const what = first && `${nameOf(first.id)} ${first.what}${more.length ? `, and ${more.length} more` : ""}`;
  return (
    <div className="replay" role="group" aria-label="Replay">
      <button onClick={() => replay.step(-1)} aria-label="Event before" title="Event before (,)">
        ‹
      </button>
      <button className="replay-play" onClick={replay.toggle} title="Space">
        {replay.playing ? "Stop" : "Play"}
      </button>
      <button onClick={() => replay.step(1)} aria-label="Event after" title="Event after (.)">
        ›
      </button>
      <input
        type="range"
        min={0}
        max={STEPS}
        step={1}
        aria-label="Moment of the run"
        aria-valuetext={[`${offset} after the start`, what].filter(Boolean).join(": ")}
        value={Math.round((whole.percent(at) / 100) * STEPS)}
        onChange={(event) => replay.seek(whole.time((Number(event.target.value) / STEPS) * 100))}
        onKeyDown={(event) => {
          const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key] as 1 | -1 | undefined;
          if (by) replay.step(by);
          else if (event.key === " ") replay.toggle();
          else if (event.key === "Escape") replay.leave();
          else return;
          event.preventDefault();
        }}
      />
      <span className="replay-time">
        <time dateTime={writeMoment(at)}>+{offset}</time> <span className="muted">{clockTime(writeMoment(at))}</span>
      </span>
      <label>
        in{" "}
        <select value={replay.seconds} onChange={(event) => replay.setSeconds(Number(event.target.value))} aria-label="Seconds that playing it all takes">
          {SECONDS.map((seconds) => (
            <option key={seconds} value={seconds}>
              {seconds} s
            </option>
          ))}
        </select>
      </label>
      <button onClick={replay.leave} title="r">
        End replay
      </button>
      <span className="replay-what cut muted">{what}</span>
    </div>
  );
}

/** What a reader calls a row: the name at the end of its key, and its step. */
function nameOf(id: string): string {
  const [kind, step, ...rest] = id.split(":");
  const name = rest.slice(0, -1).join(":");
  return rest.length === 0 ? "the run" : kind === name ? `${kind} ${step}` : `${kind} ${step} ${name}`;
}
