// Files that a reader takes away.

/** RFC 4180; what a spreadsheet would run as a formula is marked as text. */
export function toCsv(names: string[], lines: (string | number | null | undefined)[][]): string {
  const cell = (value: string | number | null | undefined) => {
    const text = value == null ? "" : String(value);
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [names, ...lines].map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** A name that every file system takes. */
export const fileName = (id: string, extension: string) =>
  `${id.replaceAll(/[^A-Za-z0-9._-]+/g, "_").slice(0, 80) || "run"}.${extension}`;

export function download(name: string, content: BlobPart | Blob, type: string) {
  const blob = content instanceof Blob ? content : new Blob([content], { type });
  const url = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  // The browser has taken what it needs by the next task.
  setTimeout(() => URL.revokeObjectURL(url), 0);
}
