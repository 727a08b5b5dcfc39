// Recorded data as text in which hashes stand back. Pure.

export interface Piece {
  text: string;
  hash: boolean;
}

const HASH = /"(?:sha256|hmac):[0-9a-f]+"/g;

export function pieces(value: unknown): Piece[] {
  const text = typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "");
  const all: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(HASH)) {
    if (match.index > from) all.push({ text: text.slice(from, match.index), hash: false });
    all.push({ text: match[0], hash: true });
    from = match.index + match[0].length;
  }
  if (from < text.length) all.push({ text: text.slice(from), hash: false });
  return all;
}

/** The parts of a node's data that a reader looks for first, and the rest. */
export function partsOf(data: unknown): [title: string, value: unknown][] {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return data == null ? [] : [["Data", data]];
  const { input, output, stack, _redaction, ...rest } = data as Record<string, unknown>;
  const parts: [string, unknown][] = [
    ["Input", input],
    ["Output", output],
    ["Stack", stack],
    ["Attributes", Object.keys(rest).length > 0 ? rest : undefined],
  ];
  return parts.filter(([, value]) => value !== undefined);
}
