// Filters as they stand in the address. Pure.
import type { ListQuery, Status } from "../../api/client";

/** Those that the page offers, and the API takes by the same name. */
export const FILTERS = [
  "status",
  "text",
  "type",
  "since",
  "namespace",
  "error_type",
  "tenant",
  "min_duration_ms",
  "max_duration_ms",
  "min_cost_usd",
] as const satisfies (keyof ListQuery)[];

export type Filter = (typeof FILTERS)[number];
export type Search = Partial<Record<Filter, string>>;

/** Texts out of an address; what is not known or empty is left out. */
export function readSearch(raw: Record<string, unknown>): Search {
  const search: Search = {};
  for (const name of FILTERS) {
    const value = raw[name];
    if (typeof value === "string" && value !== "") search[name] = value;
  }
  return search;
}

export const statusesOf = (search: Search): Status[] => (search.status?.split(",").filter(Boolean) ?? []) as Status[];

/** With a status chosen, or no longer. */
export function toggleStatus(search: Search, status: Status): Search {
  const chosen = statusesOf(search);
  const next = chosen.includes(status) ? chosen.filter((one) => one !== status) : [...chosen, status];
  return { ...search, status: next.join(",") || undefined };
}

export const isNarrowed = (search: Search) => FILTERS.some((name) => search[name]);
