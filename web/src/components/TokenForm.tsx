import { useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { currentToken, setToken } from "../api/token";

/** Asks for the token that the server wants. It is kept for this tab alone, and never part of an address. */
export function TokenForm({ refused }: { refused: boolean }) {
  const queries = useQueryClient();
  const [token, write] = useState("");
  const id = useId();
  const enter = (next: string | undefined) => {
    setToken(next);
    write("");
    // Nothing that was answered to somebody else is kept.
    void queries.resetQueries();
  };
  return (
    <form
      className="token"
      onSubmit={(event) => {
        event.preventDefault();
        if (token.trim()) enter(token.trim());
      }}
    >
      <label htmlFor={id}>Access token</label>
      <input
        id={id}
        type="password"
        value={token}
        onChange={(event) => write(event.target.value)}
        autoComplete="off"
        spellCheck={false}
        aria-describedby={`${id}-hint`}
      />
      <button disabled={!token.trim()}>Use it</button>
      {refused && currentToken() && (
        <button type="button" onClick={() => enter(undefined)}>
          Forget the one in use
        </button>
      )}
      <p id={`${id}-hint`} className="muted">
        Whoever runs this server makes one with <code>omnitrace token create</code>. It is kept until this tab is
        closed.
      </p>
    </form>
  );
}
