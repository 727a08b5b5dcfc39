import { useEffect, useRef, type ReactNode } from "react";

interface Props {
  title: ReactNode;
  /** How many of what is inside are chosen. */
  chosen?: number;
  children: ReactNode;
}

/** A button that shows more under it; Escape, or a click elsewhere, closes it. */
export function Menu({ title, chosen = 0, children }: Props) {
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const details = menu.current;
      if (!details?.open) return;
      const escapes = event instanceof KeyboardEvent;
      if (escapes ? event.key !== "Escape" : details.contains(event.target as Node)) return;
      details.open = false;
      if (!escapes) return;
      event.stopPropagation();
      details.querySelector("summary")?.focus();
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("keydown", close);
    };
  }, []);
  return (
    <details ref={menu} className="menu">
      <summary>
        {title}
        {chosen > 0 && <span className="menu-chosen"> ({chosen})</span>} ▾
      </summary>
      <div className="menu-body">{children}</div>
    </details>
  );
}

interface ChecksProps {
  title: string;
  all: { value: string; label: ReactNode }[];
  /** Separated by commas, as in an address. */
  chosen: string | undefined;
  onChange: (chosen: string | undefined) => void;
}

/** Any of some values. */
export function Checks({ title, all, chosen, onChange }: ChecksProps) {
  const values = chosen?.split(",").filter(Boolean) ?? [];
  return (
    <fieldset className="checks">
      <legend>{title}</legend>
      {all.map(({ value, label }) => (
        <label key={value}>
          <input
            type="checkbox"
            checked={values.includes(value)}
            onChange={({ target }) => {
              const next = target.checked ? [...values, value] : values.filter((one) => one !== value);
              onChange(next.join(",") || undefined);
            }}
          />{" "}
          {label}
        </label>
      ))}
    </fieldset>
  );
}
