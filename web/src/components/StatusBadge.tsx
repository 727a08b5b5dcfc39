import type { Tone } from "./status";

interface Props {
  state: { glyph: string; word: string; tone: Tone };
  /** The word is for screen readers alone, where the glyph stands in a narrow place. */
  short?: boolean;
}

/** A status by glyph and word; the colour only repeats it. */
export function StatusBadge({ state, short = false }: Props) {
  return (
    <span className={`status tone-${state.tone}`} title={short ? state.word : undefined}>
      <span className="status-glyph" aria-hidden="true">
        {state.glyph}
      </span>
      <span className={short ? "visually-hidden" : undefined}>{state.word}</span>
    </span>
  );
}
