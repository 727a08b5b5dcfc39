import type { Failure } from "../api/client";

/** An error: what it is, what it says, and what to do about it. */
export function FailureBox({ error }: { error: Failure }) {
  return (
    <div className="failure">
      <div>
        <span className="failure-type">{error.type ?? "Error"}</span>
        {error.message && `: ${error.message}`}
      </div>
      {error.hint && <div className="muted">Hint: {error.hint}</div>}
    </div>
  );
}
