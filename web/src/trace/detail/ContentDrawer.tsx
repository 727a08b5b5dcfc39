import { useEffect, useRef, useState } from "react";
import type { TraceNode } from "../../api/client";
import { CopyButton } from "../../components/CopyButton";
import { messagesOf } from "../fns/content";
import { pieces } from "../fns/json";
import { RedactionNotice } from "./RedactionNotice";

interface Props {
  title: string;
  values: unknown[];
  node: TraceNode;
}

/** What a model was asked, or said: its beginning, and all of it in a drawer. */
export function Content({ title, values, node }: Props) {
  const [open, setOpen] = useState(false);
  const messages = messagesOf(values);
  const first = messages[0];
  if (!first) return null;
  return (
    <section>
      <h3>
        {title} <CopyButton text={messages.map((one) => one.text).join("\n\n")} what={title.toLowerCase()} />
      </h3>
      <p className="content-begin">
        {first.role && <span className="badge">{first.role}</span>} {first.text}
      </p>
      <button onClick={() => setOpen(true)} aria-haspopup="dialog">
        Read {title.toLowerCase()}
        {messages.length > 1 && ` (${messages.length})`}
      </button>
      {open && (
        <Drawer title={`${title} of ${node.name}`} onClose={() => setOpen(false)}>
          <RedactionNotice node={node} />
          {messages.map(({ role, text }, at) => (
            <article key={at} className="message">
              <h3>
                {role ?? `${title.replace(/s$/, "")} ${at + 1}`} <CopyButton text={text} what={`text ${at + 1}`} />
              </h3>
              <pre className="json">
                {pieces(text).map((piece, part) =>
                  piece.hash ? <span key={part} className="json-hash">{piece.text}</span> : piece.text,
                )}
              </pre>
            </article>
          ))}
        </Drawer>
      )}
    </section>
  );
}

function Drawer({ title, onClose, children }: { title: string; onClose: () => void; children: React.ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="drawer" onClose={onClose} aria-label={title}>
      <div className="panel-head">
        <h2>{title}</h2>
        <button className="panel-close" onClick={() => dialog.current?.close()} aria-label="Close">
          ✕
        </button>
      </div>
      {children}
    </dialog>
  );
}
