import type { TraceNode } from "../../api/client";
import { CopyButton } from "../../components/CopyButton";
import { partsOf, pieces } from "../fns/json";
import { useNodeDetail, type TraceId } from "../hooks/useWorkflowTrace";
import { Content } from "./ContentDrawer";
import { isPage } from "./Dashboards";
import { RedactionNotice } from "./RedactionNotice";

/** What is not known of a node until it ends. */
const AT_THE_END = new Set(["Output", "Stack"]);

interface Props {
  node: TraceNode;
  /** The attempt that the step stands for. */
  only: TraceNode | undefined;
  id: TraceId;
  /** The reader may not see the data. */
  withheld: boolean;
  /** At the moment that is shown it goes on. */
  open: boolean;
}

/** The recorded data: of a step that one attempt stands for, also what the attempt's worker knew. */
export function Recorded({ node, only, id, withheld, open }: Props) {
  if (withheld) {
    return <p className="muted">Your token does not have the right to read prompts, responses and other recorded data.</p>;
  }
  const parts = partsOf(node.data).filter(([title]) => !(open && AT_THE_END.has(title)));
  return (
    <>
      <Content title="Prompts" values={node.prompts} node={node} />
      {!open && <Content title="Responses" values={node.responses} node={node} />}
      {!open && <Artifacts node={node} />}
      {parts
        // What a model was asked and said is told above.
        .filter(([title]) => !(title === "Input" && node.prompts.length) && !(title === "Output" && node.responses.length))
        .map(([title, value]) => <Data key={title} title={title} value={value} />)}
      <RedactionNotice node={node} />
      {parts.length === 0 && !only && <p className="muted">No data is recorded of it.</p>}
      {only && !open && <AttemptData id={id} attempt={only} empty={parts.length === 0} />}
    </>
  );
}

function Artifacts({ node }: { node: TraceNode }) {
  if (node.artifacts.length === 0) return null;
  return (
    <section>
      <h3>Artifacts</h3>
      <ul className="artifacts">
        {node.artifacts.map(({ name, url }) => (
          <li key={name + url}>
            {isPage(url) ? (
              <a className="button" href={url} target="_blank" rel="noreferrer">
                Open {name} ↗
              </a>
            ) : (
              <span>
                {name} <span className="mono">{url}</span>
              </span>
            )}
            <CopyButton text={url} what={`address of ${name}`} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function AttemptData({ id, attempt, empty }: { id: TraceId; attempt: TraceNode; empty: boolean }) {
  const detail = useNodeDetail(id, attempt.event_key, `${attempt.status} ${attempt.ended_at ?? ""}`);
  // Its output is the step's.
  const parts = partsOf(detail.data?.node.data).filter(([title]) => empty || title === "Attributes" || title === "Stack");
  if (detail.data && empty && parts.length === 0) return <p className="muted">No data is recorded of it.</p>;
  return parts.map(([title, value]) => <Data key={title} title={`${title} of the attempt`} value={value} />);
}

function Data({ title, value }: { title: string; value: unknown }) {
  const all = pieces(value);
  return (
    <section>
      <h3>
        {title} <CopyButton text={all.map((piece) => piece.text).join("")} what={title.toLowerCase()} />
      </h3>
      <pre className="json" tabIndex={0} role="region" aria-label={title}>
        {all.map((piece, at) => (piece.hash ? <span key={at} className="json-hash">{piece.text}</span> : piece.text))}
      </pre>
    </section>
  );
}
