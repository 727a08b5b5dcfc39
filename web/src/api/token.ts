// The reader's access token: kept for this tab alone, never in an address.

const NAME = "omnitrace-token";
let kept: string | undefined;

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
}
