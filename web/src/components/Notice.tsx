import type { ReactNode } from "react";
import { ApiError } from "../api/client";
import { currentToken } from "../api/token";
import { isLimited, useMe } from "../api/useMe";
import { PageLink } from "./PageLink";
import { TokenForm } from "./TokenForm";
import { seenBy } from "./Who";

interface Props {
  title: string;
  children?: ReactNode;
  onRetry?: () => void;
}

/** A page, or a part of one, that has nothing to show. */
export function Notice({ title, children, onRetry }: Props) {
  return (
    <section className="notice">
      <h2>{title}</h2>
      {children}
      {onRetry && <button onClick={onRetry}>Try again</button>}
    </section>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <p className="notice muted" role="status">
      Loading {what} …
    </p>
  );
}

/** Why something cannot be shown, and what to do about it. */
export function ErrorNotice({ error, onRetry }: { error: Error; onRetry?: () => void }) {
  const status = error instanceof ApiError ? error.status : undefined;
  const title = error instanceof ApiError ? error.title : "Something went wrong";
  const said = { 401: "A token is needed", 403: "Not allowed" }[status ?? 0];
  // What the server says of a token is meant for programs, until there is one.
  const first = status === 401 && !currentToken();
  return (
    <div role="alert">
      <Notice title={said ?? title} onRetry={said ? undefined : onRetry}>
        <p>{first ? "This server shows what is recorded to those who have a token." : error.message}</p>
        {status === 404 && <Beyond />}
        {said && <TokenForm refused={status === 403} />}
      </Notice>
    </div>
  );
}

/** What is beyond somebody's rights is as if it were not there. */
function Beyond() {
  const me = useMe();
  return (
    <>
      {me && isLimited(me) && <p>{seenBy(me)} What is of others is not told of: ask for a token that shows it.</p>}
      <p>
        <PageLink href="/">See all runs</PageLink>
      </p>
    </>
  );
}
