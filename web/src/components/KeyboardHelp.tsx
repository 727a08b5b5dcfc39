import { useEffect, useRef } from "react";

export type Keys = [keys: string[], does: string][];

/** What the keyboard does on this page. */
export function KeyboardHelp({ keys, onClose }: { keys: Keys; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="keys-title">
      <h2 id="keys-title">Keyboard</h2>
      <dl className="keys">
        {keys.map(([names, does]) => (
          <div key={does} style={{ display: "contents" }}>
            <dt>
              {names.map((name) => (
                <span key={name}>
                  <kbd>{name}</kbd>{" "}
                </span>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <button onClick={() => dialog.current?.close()}>Close</button>
    </dialog>
  );
}
