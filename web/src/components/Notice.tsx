import type { ReactNode } from "react";
import { ApiError } from "../api/client";

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

export function ErrorNotice({ error, onRetry }: { error: Error; onRetry?: () => void }) {
  const title = error instanceof ApiError ? error.title : "Something went wrong";
  return (
    <div role="alert">
      <Notice title={title} onRetry={onRetry}>
        <p>{error.message}</p>
      </Notice>
    </div>
  );
}
