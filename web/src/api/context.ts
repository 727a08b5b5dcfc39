import { createContext, useContext } from "react";
import { Client } from "./client";

/** The server that is asked. Another application gives one of its own. */
export const ClientContext = createContext(new Client());

export const useClient = () => useContext(ClientContext);
