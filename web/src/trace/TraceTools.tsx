import type { Trace } from "../api/client";
import { thousands } from "../components/format";
import { isOpen } from "../components/status";

interface Props {
  trace: Trace;
  onExpand: () => void;
  onCollapse: () => void;
  onNextError?: () => void;
}

/** What can be done with the rows, and what their bars mean. */
export function TraceTools({ trace, onExpand, onCollapse, onNextError }: Props) {
  return (
    <div className="trace-tools">
      <button onClick={onExpand}>Expand all</button>
      <button onClick={onCollapse}>Collapse all</button>
      <button onClick={onNextError} disabled={!onNextError}>
        Next error
      </button>
      <span className="muted">{thousands(trace.event_count)} events</span>
      {isOpen(trace.status) && <span className="tone-live">▸ live</span>}
      <div className="legend" aria-hidden="true">
        <span>
          <i className="swatch"><i className="bar bar-work" style={{ left: 0, width: 18 }} /></i> work
        </span>
        <span>
          <i className="swatch"><i className="bar bar-work bar-bad" style={{ left: 0, width: 18 }} /></i> failed
        </span>
        <span>
          <i className="swatch"><i className="bar bar-wait" style={{ left: 0, width: 18 }} /></i> waiting
        </span>
        <span>
          <i className="swatch"><i className="bar bar-point" style={{ left: 9 }} /></i> moment
        </span>
      </div>
    </div>
  );
}
