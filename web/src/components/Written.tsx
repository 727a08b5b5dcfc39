import { useEffect, useState, type RefObject } from "react";

/** Milliseconds after the last key until what was written counts. */
const PAUSE = 300;

interface Props {
  name: string;
  value: string;
  placeholder: string;
  onChange: (value: string) => void;
  inputRef?: RefObject<HTMLInputElement | null>;
}

/** A field that tells what was written after a pause, or at Enter. */
export function Written({ name, value, placeholder, onChange, inputRef }: Props) {
  const [written, setWritten] = useState(value);
  useEffect(() => setWritten(value), [value]);
  useEffect(() => {
    if (written === value) return;
    const timer = setTimeout(() => onChange(written), PAUSE);
    return () => clearTimeout(timer);
  }, [written, value]);
  return (
    <input
      ref={inputRef}
      name={name}
      value={written}
      placeholder={placeholder}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => setWritten(event.target.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter") onChange(written);
        if (event.key === "Escape") event.currentTarget.blur();
      }}
    />
  );
}
