import type { TraceNode } from "../../api/client";

/** What was taken from the data before it was stored. */
export function RedactionNotice({ node }: { node: TraceNode }) {
  const { dropped = 0, hashed = 0, truncated = 0 } = node.redaction ?? {};
  const done = [dropped && `${dropped} dropped`, hashed && `${hashed} hashed`, truncated && `${truncated} cut`].filter(Boolean);
  return done.length > 0 && <p className="muted">Redacted before it was stored: {done.join(", ")}.</p>;
}
