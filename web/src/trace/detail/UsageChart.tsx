import type { TraceNode } from "../../api/client";
import { dollars, thousands } from "../../components/format";
import { usageOf } from "../fns/content";

/** Tokens and cost of what is below a node: a table whose bars repeat its numbers. */
export function UsageChart({ node }: { node: TraceNode }) {
  const all = usageOf(node);
  const most = Math.max(1, ...all.map((one) => one.prompt + one.completion));
  if (all.length === 0) return null;
  return (
    <section>
      <h3>Tokens and cost</h3>
      <table className="usage">
        <thead>
          <tr>
            <th scope="col">what</th>
            <th scope="col" className="number">in</th>
            <th scope="col" className="number">out</th>
            <th scope="col" className="number">cost</th>
          </tr>
        </thead>
        <tbody>
          {all.map((one) => (
            <tr key={one.id}>
              <th scope="row">
                {one.name} {one.model && <span className="muted">{one.model}</span>}
                <span className="usage-bar" aria-hidden="true">
                  <i className="usage-in" style={{ width: `${(100 * one.prompt) / most}%` }} />
                  <i className="usage-out" style={{ width: `${(100 * one.completion) / most}%` }} />
                </span>
              </th>
              <td className="number">{thousands(one.prompt)}</td>
              <td className="number">{thousands(one.completion)}</td>
              <td className="number">{one.cost === undefined ? "–" : dollars(one.cost)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
