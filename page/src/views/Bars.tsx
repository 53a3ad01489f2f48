/** Probabilities of all classes, in words and bars, the largest first. */

import { colourOf } from "../colours";
import { capital, percent } from "../words";

export function Bars({ probabilities, threshold }: { probabilities: Record<string, number>; threshold: number }) {
  const rows = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
  return (
    <ul class="bars">
      {rows.map(([name, share]) => (
        <li key={name}>
          <span>{capital(name)}</span>
          <span class="bar" aria-hidden="true">
            <i style={{ width: `${share * 100}%`, background: colourOf(name) }} />
            {threshold > 0 && <b style={{ left: `${threshold * 100}%` }} />}
          </span>
          <span class="number">{percent(share)}</span>
        </li>
      ))}
    </ul>
  );
}
