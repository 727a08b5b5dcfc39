import { useId } from "react";
import { roundUp } from "./fns/stats";

export interface Series<T> {
  name: string;
  tone: "ok" | "bad" | "live" | "muted";
  /** How high its part of the bar is. */
  of: (one: T) => number;
  /** What the table says, if that is another number. */
  shown?: (one: T) => number;
}

interface Props<T> {
  title: string;
  /** The chart in a sentence. */
  said: string;
  hours: T[];
  series: Series<T>[];
  write: (n: number) => string;
}

const [WIDTH, HEIGHT] = [480, 72];

/** Stacked bars by the hour, and the same numbers as a table. */
export function BarChart<T extends { at: number }>({ title, said, hours, series, write }: Props<T>) {
  const hatch = useId();
  const heights = hours.map((hour) => series.reduce((sum, one) => sum + one.of(hour), 0));
  const most = roundUp(Math.max(...heights));
  const wide = WIDTH / Math.max(hours.length, 1);
  const name = (hour: T) => new Date(hour.at).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const says = (hour: T) => series.map((one) => `${one.name} ${write((one.shown ?? one.of)(hour))}`).join(", ");
  return (
    <figure className="chart">
      <figcaption>
        {title} <span className="muted">{said}</span>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${title}: ${said}`}>
        <pattern id={hatch} width={4} height={4} patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect className="chart-bad" width={2.8} height={4} />
        </pattern>
        {hours.map((hour, at) => {
          let top = HEIGHT;
          return (
            <g key={hour.at}>
              <title>{`${name(hour)}: ${says(hour)}`}</title>
              <rect className="chart-hour" x={at * wide} y={0} width={wide} height={HEIGHT} />
              {series.map((one) => {
                const height = (one.of(hour) / most) * HEIGHT;
                top -= height;
                return (
                  height > 0 && (
                    <rect
                      key={one.name}
                      // What failed is hatched: colour alone would not tell it.
                      {...(one.tone === "bad" ? { fill: `url(#${hatch})` } : { className: `chart-${one.tone}` })}
                      x={at * wide + 1}
                      y={top}
                      width={wide - 2}
                      height={height}
                    />
                  )
                );
              })}
            </g>
          );
        })}
      </svg>
      <div className="chart-foot muted">
        <span>{hours[0] && name(hours[0])}</span>
        <span className="chart-legend">
          {series.map((one) => (
            <span key={one.name}>
              <i className={`chart-key chart-${one.tone}`} aria-hidden="true" /> {one.name}
            </span>
          ))}
        </span>
        <span>highest {write(most)}</span>
      </div>
      <details>
        <summary>As a table</summary>
        <table className="usage">
          <thead>
            <tr>
              <th scope="col">hour</th>
              {series.map((one) => (
                <th key={one.name} scope="col" className="number">
                  {one.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {hours
              .filter((_, at) => heights[at]! > 0)
              .map((hour) => (
                <tr key={hour.at}>
                  <th scope="row">{name(hour)}</th>
                  {series.map((one) => (
                    <td key={one.name} className="number">
                      {write((one.shown ?? one.of)(hour))}
                    </td>
                  ))}
                </tr>
              ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}
