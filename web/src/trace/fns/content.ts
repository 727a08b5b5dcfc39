// What a model was asked and said, as a person reads it; and what it cost. Pure.
import type { TraceNode } from "../../api/client";
import { idOf, titleOf } from "./rows";

export interface Message {
  role: string | undefined;
  text: string;
}

const asText = (value: unknown) => (typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? ""));

/** Messages of the shapes in common use; what is of another shape is shown as it is. */
export function messagesOf(values: unknown[]): Message[] {
  return values.flatMap((value): Message[] => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return Array.isArray(value) ? messagesOf(value) : [{ role: undefined, text: asText(value) }];
    }
    const { messages, role, content } = value as Record<string, unknown>;
    if (Array.isArray(messages)) return messagesOf(messages);
    if (typeof role !== "string" || content === undefined) return [{ role: undefined, text: asText(value) }];
    const parts = Array.isArray(content) ? content : [content];
    const text = parts.map((part) => asText((part as { text?: unknown } | null)?.text ?? part)).join("\n");
    return [{ role, text }];
  });
}

export interface Usage {
  id: string;
  name: string;
  model: string | undefined;
  prompt: number;
  completion: number;
  /** Nothing where the price is not known. */
  cost: number | undefined;
}

/** What used tokens or cost something below a node, the most first, and the rest of them as one. */
export function usageOf(node: TraceNode, most = 8): Usage[] {
  const all: Usage[] = [];
  const visit = (one: TraceNode, step: TraceNode) => {
    const within = one.role === "step" ? one : step;
    const told = one.children.filter((child) => child.token_usage || child.cost_usd != null);
    if (told.length === 0 && (one.token_usage || one.cost_usd != null)) {
      const { prompt = 0, completion = 0 } = one.token_usage ?? {};
      const name = one === within ? titleOf(one) : `${titleOf(within)}, ${titleOf(one)}`;
      const model = one.model ?? within.model ?? undefined;
      all.push({ id: idOf(one), name, model, prompt, completion, cost: one.cost_usd ?? undefined });
    }
    for (const child of told) visit(child, within);
  };
  visit(node, node);
  const size = (usage: Usage) => usage.prompt + usage.completion;
  all.sort((a, b) => size(b) - size(a) || (b.cost ?? 0) - (a.cost ?? 0));
  const rest = all.slice(most);
  if (rest.length === 0) return all;
  const sum = (of: (usage: Usage) => number) => rest.reduce((total, one) => total + of(one), 0);
  return [
    ...all.slice(0, most),
    {
      id: "",
      name: `${rest.length} more`,
      model: undefined,
      prompt: sum((one) => one.prompt),
      completion: sum((one) => one.completion),
      cost: rest.some((one) => one.cost !== undefined) ? sum((one) => one.cost ?? 0) : undefined,
    },
  ];
}
