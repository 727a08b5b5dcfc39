import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Who } from "./Who";

/** The bar above every page. */
export function Top({ children, onHelp }: { children?: ReactNode; onHelp: () => void }) {
  return (
    <header className="top">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <Link to="/" className="top-name">
        OmniTrace
      </Link>
      {children}
      <div className="top-end">
        <Who />
        <button onClick={onHelp} aria-label="Keyboard" title="Keyboard (?)">
          ?
        </button>
      </div>
    </header>
  );
}
