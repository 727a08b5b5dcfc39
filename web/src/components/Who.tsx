import { useQueryClient } from "@tanstack/react-query";
import type { Me } from "../api/client";
import { setToken } from "../api/token";
import { useMe } from "../api/useMe";
import { Menu } from "./Menu";

/** Who the reader is to the server; nothing where no token is in use. */
export function Who() {
  const me = useMe();
  const queries = useQueryClient();
  if (!me) return null;
  const leave = () => {
    setToken(undefined);
    // Nothing that was answered to somebody else is kept.
    void queries.resetQueries();
  };
  return (
    <Menu title={me.name || "token"}>
      <p>{seenBy(me)}</p>
      <p>{me.content ? "Prompts and other recorded data are shown." : "Prompts and other recorded data are not shown."}</p>
      <button onClick={leave}>Forget the token</button>
    </Menu>
  );
}

/** What is shown to the reader, in words. */
export function seenBy({ namespaces, tenants }: Me): string {
  const of = (what: string, many: string, all: string[] | null | undefined, named: boolean) =>
    !all
      ? `all ${many}`
      : named && all.length > 0 && all.length < 4
        ? `${all.length === 1 ? what : many} ${all.join(", ")}`
        : `${all.length} ${all.length === 1 ? what : many}`;
  // Tenants are hashed: their number says as much.
  return `Your token shows runs of ${of("namespace", "namespaces", namespaces, true)} and ${of("tenant", "tenants", tenants, false)}.`;
}
