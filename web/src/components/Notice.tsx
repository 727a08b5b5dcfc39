import type { ReactNode } from "react";
import { ApiError } from "../api/client";
import { TokenForm } from "./TokenForm";

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
  return (
    <div role="alert">
      <Notice title={said ?? title} onRetry={onRetry}>
        <p>{error.message}</p>
        {said && <TokenForm refused={status === 403} />}
      </Notice>
    </div>
  );
}
