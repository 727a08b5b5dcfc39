// Numbers and times for people.

/** `12ms`, `1.23s`, `3m05s`, `2h07m`, `4d03h`; never rounded up. */
export function duration(ms: number): string {
  const two = (n: number) => String(Math.trunc(n)).padStart(2, "0");
  const whole = Math.max(0, Math.trunc(ms));
  const s = Math.trunc(whole / 1000);
  if (whole < 1000) return `${whole}ms`;
  if (whole < 10_000) return `${s}.${two((whole % 1000) / 10)}s`;
  if (whole < 60_000) return `${s}.${Math.trunc((whole % 1000) / 100)}s`;
  if (whole < 3_600_000) return `${Math.trunc(s / 60)}m${two(s % 60)}s`;
  if (whole < 86_400_000) return `${Math.trunc(s / 3600)}h${two((s % 3600) / 60)}m`;
  return `${Math.trunc(s / 86_400)}d${two((s % 86_400) / 3600)}h`;
}

/** Milliseconds since 1970, with the microseconds that the server tells. */
export function parseTime(text: string | null | undefined): number | undefined {
  if (!text) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) return undefined;
  const micros = /\.\d{3}(\d{3})/.exec(text)?.[1];
  return ms + (micros ? Number(micros) / 1000 : 0);
}

/** The reader's own time, to the second. */
export function localTime(text: string | null | undefined): string {
  const ms = parseTime(text);
  return ms === undefined ? "–" : new Date(ms).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** The reader's own time of day, to the millisecond. */
export function clockTime(text: string | null | undefined): string {
  const ms = parseTime(text);
  if (ms === undefined) return "–";
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 } as const;
  return new Date(ms).toLocaleTimeString(undefined, { ...options, hourCycle: "h23" });
}

export function ago(text: string | null | undefined, now: number): string {
  const ms = parseTime(text);
  if (ms === undefined) return "–";
  const past = now - ms;
  if (past < 1000) return "just now";
  const [unit, size] =
    past < 60_000 ? ["s", 1000] : past < 3_600_000 ? ["m", 60_000] : past < 86_400_000 ? ["h", 3_600_000] : ["d", 86_400_000];
  return `${Math.trunc(past / (size as number))}${unit} ago`;
}

export const thousands = (n: number) => n.toLocaleString("en-US");

/** Cents, or what is not zero of less. */
export function dollars(usd: number): string {
  if (usd === 0 || usd >= 1) return `$${usd.toFixed(2)}`;
  return usd >= 0.0001 ? `$${usd.toFixed(4)}` : `$${usd.toExponential(1)}`;
}
