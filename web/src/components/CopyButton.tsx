import { useState } from "react";

/** Two sheets: no font is sure to have the sign. */
const CopyIcon = () => (
  <svg width="12" height="12" viewBox="0 0 12 12" fill="none" stroke="currentColor" aria-hidden="true">
    <rect x="3.5" y="3.5" width="7" height="7.500" rx="1.500" />
    <path d="M8 3.500V2A1 1 0 0 0 7 1H2.500A1.500 1.500 0 0 0 1 2.500V7.500A1 1 0 0 0 2 8.500H3.500" />
  </svg>
);

/** Copies a text, and says that it did. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [said, setSaid] = useState("");
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setSaid("copied"),
      () => setSaid("not allowed"),
    );
  return (
    <button className="copy" onClick={copy} onBlur={() => setSaid("")} aria-label={`Copy ${what}`} title={`Copy ${what}`}>
      {said || <CopyIcon />}
      <span className="visually-hidden" role="status">
        {said}
      </span>
    </button>
  );
}
