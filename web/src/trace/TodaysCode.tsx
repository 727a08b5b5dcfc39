import type { Trace, TraceNode } from "../api/client";
import { StatusBadge } from "../components/StatusBadge";
import { localTime } from "../components/format";
import type { Tone } from "../components/status";
import { idOf } from "./fns/rows";

type Replay = NonNullable<Trace["replay"]>;

const VERDICTS: Record<Replay["verdict"], { glyph: string; word: string; tone: Tone }> = {
  passed: { glyph: "✓", word: "replays", tone: "ok" },
  changed: { glyph: "≈", word: "replays, changed", tone: "warn" },
  parted: { glyph: "≠", word: "parts", tone: "bad" },
  failed: { glyph: "✗", word: "fails in replay", tone: "bad" },
  gone: { glyph: "?", word: "history gone", tone: "muted" },
};

interface Props {
  replay: Replay;
  root: TraceNode;
  onSelect: (id: string) => void;
}

/** Whether today's code does what the run did, and the step where it does not. */
export function TodaysCode({ replay, root, onSelect }: Props) {
  const { verdict, event_key: key, position, expected, found, message } = replay;
  const step = root.children.find((child) => child.event_key === key) ?? (key === "" ? root : undefined);
  const at = position == null ? undefined : `step ${position}`;
  return (
    <>
      <StatusBadge state={VERDICTS[verdict]} /> <span title={localTime(replay.checked_at)}>with build {replay.build_id}</span>
      {at && " at "}
      {at && (step ? <button className="chip" onClick={() => onSelect(idOf(step))}>{at}</button> : at)}
      {verdict === "parted" && <>: expected {expected ?? "nothing"}, found {found ?? "nothing"}</>}
      {verdict !== "parted" && message && `: ${message}`}
    </>
  );
}
