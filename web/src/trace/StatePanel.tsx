import { useMemo } from "react";
import type { TraceNode } from "../api/client";
import { StatusBadge } from "../components/StatusBadge";
import { dollars, thousands } from "../components/format";
import { stateOf as stateOfNode, statusOf } from "../components/status";
import { stateOf } from "./fns/moment";
import { idOf, titleOf } from "./fns/rows";

/** Open steps that are listed. */
const LISTED = 40;

/** The run at the moment of the replay: in numbers, and what it waits for. */
export function StatePanel({ root, onSelect }: { root: TraceNode; onSelect: (id: string) => void }) {
  const state = useMemo(() => stateOf(root), [root]);
  const facts: [string, React.ReactNode][] = [
    ["run", <StatusBadge state={statusOf(state.status)} />],
    ["open steps", thousands(state.open.length)],
    ["ended well", thousands(state.ended)],
    ["ended otherwise", thousands(state.failed)],
    ["attempts", `${thousands(state.attempts)}${state.retries ? `, ${thousands(state.retries)} of them retries` : ""}`],
    ["signals", thousands(state.signals.length)],
    ["tokens", `${thousands(state.tokens.prompt)} in, ${thousands(state.tokens.completion)} out`],
    ["cost", dollars(state.cost)],
  ];
  return (
    <section className="state" aria-label="State at this moment">
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name} className="fact">
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Listed title="open" nodes={state.open} onSelect={onSelect} />
      <Listed title="signals" nodes={state.signals} onSelect={onSelect} />
    </section>
  );
}

function Listed({ title, nodes, onSelect }: { title: string; nodes: TraceNode[]; onSelect: (id: string) => void }) {
  if (nodes.length === 0) return null;
  return (
    <ul className="state-list" aria-label={title}>
      <li className="muted">{title}</li>
      {nodes.slice(0, LISTED).map((node) => (
        <li key={node.event_key}>
          <button className="chip" onClick={() => onSelect(idOf(node))}>
            <StatusBadge state={stateOfNode(node)} short /> {titleOf(node)}
          </button>
        </li>
      ))}
      {nodes.length > LISTED && <li className="muted">and {thousands(nodes.length - LISTED)} more</li>}
    </ul>
  );
}
