// The reader's access token: kept for this tab alone, never in an address.

const NAME = "omnitrace-token";
let kept: string | undefined;
const listeners = new Set<() => void>();

/** Calls whenever another token is entered, or forgotten, until what it returns is called. */
export function onToken(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The token that was entered in this tab. */
export function currentToken(): string | undefined {
  try {
    return kept ?? sessionStorage.getItem(NAME) ?? undefined;
  } catch {
    // A browser may refuse storage: then the token lives as long as the page.
    return kept;
  }
}

export function setToken(token: string | undefined) {
  kept = token;
  try {
    if (token) sessionStorage.setItem(NAME, token);
    else sessionStorage.removeItem(NAME);
  } catch {
    // As above.
  }
  for (const listener of listeners) listener();
}
