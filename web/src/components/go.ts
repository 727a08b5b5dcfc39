import { createContext } from "react";

/** Goes to another page of this site; a router makes it quick. */
export const GoContext = createContext<(href: string) => void>((href) => window.location.assign(href));
