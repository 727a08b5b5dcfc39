import { useState, type RefObject } from "react";
import { Written } from "../components/Written";
import { FILTERS, isNarrowed, type Filter, type Search } from "./fns/search";

interface Props {
  search: Search;
  onChange: (search: Search) => void;
  /** The field that `/` goes to. */
  text: RefObject<HTMLInputElement | null>;
}

const MORE: [Filter, string, string][] = [
  ["namespace", "Namespace", "default"],
  ["error_type", "Error type", "Timeout*"],
  ["tenant", "Tenant (hash)", "sha256:…"],
  ["min_duration_ms", "Took at least (ms)", "2000"],
  ["max_duration_ms", "Took at most (ms)", ""],
  ["min_cost_usd", "Cost at least ($)", "0.05"],
];

/** What narrows the list; it stands in the address. */
export function Filters({ search, onChange, text }: Props) {
  const [more, setMore] = useState(MORE.some(([name]) => search[name]));
  const field = (name: Filter) => ({ name, value: search[name] ?? "", onChange: (value: string) => onChange({ ...search, [name]: value || undefined }) });
  return (
    <form className="filters" role="search" onSubmit={(event) => event.preventDefault()}>
      <label className="field field-wide">
        Id, type or error
        <Written {...field("text")} inputRef={text} placeholder="Search ( / )" />
      </label>
      <label className="field">
        Workflow type
        <Written {...field("type")} placeholder="Order*" />
      </label>
      <label className="field">
        Started
        <select value={search.since ?? ""} onChange={(event) => field("since").onChange(event.target.value)}>
          <option value="">any time</option>
          {["15m", "1h", "24h", "7d"].map((since) => (
            <option key={since} value={since}>
              last {since}
            </option>
          ))}
          {search.since && !["15m", "1h", "24h", "7d"].includes(search.since) && <option>{search.since}</option>}
        </select>
      </label>
      {more &&
        MORE.map(([name, label, placeholder]) => (
          <label key={name} className="field field-number">
            {label}
            <Written {...field(name)} placeholder={placeholder} />
          </label>
        ))}
      <button type="button" aria-expanded={more} onClick={() => setMore(!more)}>
        {more ? "Fewer filters" : "More filters"}
      </button>
      {isNarrowed(search) && (
        <button type="button" onClick={() => onChange(Object.fromEntries(FILTERS.map((name) => [name, undefined])))}>
          Clear
        </button>
      )}
    </form>
  );
}
