import { useContext, type ComponentProps, type MouseEvent } from "react";
import { GoContext } from "./go";

/** A link that the browser may open elsewhere, and that else stays in the page. */
export function PageLink({ href, ...rest }: ComponentProps<"a"> & { href: string }) {
  const go = useContext(GoContext);
  const onClick = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(href);
  };
  return <a href={href} onClick={onClick} {...rest} />;
}
