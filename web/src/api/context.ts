import { createContext, useContext } from "react";
import { Client } from "./client";
import { currentToken } from "./token";

/** The server that is asked. Another application gives one of its own. */
export const ClientContext = createContext(new Client("", currentToken));

export const useClient = () => useContext(ClientContext);
