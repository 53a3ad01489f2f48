/** Valence and arousal as a plane, a dot a segment, where the model has both. */

import { likely, seconds } from "../answers";
import type { Scale, Segment } from "../api";
import { colourOf } from "../colours";

const SIZE = 260, EDGE = 26;

interface Props { segments: Segment[]; dimensions: Record<string, Scale>; current: Segment | null; onPlay(segment: Segment): void }

export function Plane({ segments, dimensions, current, onPlay }: Props) {
  const { valence, arousal } = dimensions;
  if (!valence || !arousal || !segments.length) return null;
  const place = (value: number, { low, high }: Scale): number => EDGE + ((value - low) / (high - low)) * (SIZE - 2 * EDGE);
  const dots = segments.filter((one) => "valence" in one.dimensions && "arousal" in one.dimensions).map((one) => ({
    one, x: place(one.dimensions.valence!, valence), y: SIZE - place(one.dimensions.arousal!, arousal), radius: 4 + 3 * Math.min(2, Math.sqrt(seconds(one))),
  }));
  return (
    <figure class="plane">
      <svg viewBox={`0 0 ${SIZE} ${SIZE}`} role="img" aria-label="Valence from left to right, arousal from below to above; a dot a segment. The table has the numbers.">
        <path class="axis" d={`M${EDGE} ${SIZE / 2}H${SIZE - EDGE}M${SIZE / 2} ${EDGE}V${SIZE - EDGE}`} />
        <path class="way" d={dots.map(({ x, y }, at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("")} />
        {dots.map(({ one, x, y, radius }) => (
          <circle key={one.start_ms} class={one === current ? "current" : ""} cx={x} cy={y} r={radius} fill={colourOf(likely(one))} onClick={() => onPlay(one)} />
        ))}
        <text x={SIZE / 2} y={14} text-anchor="middle">aroused</text>
        <text x={SIZE / 2} y={SIZE - 6} text-anchor="middle">calm</text>
        <text x={EDGE - 4} y={SIZE / 2 - 6} class="side">unpleasant</text>
        <text x={SIZE - EDGE + 4} y={SIZE / 2 - 6} text-anchor="end">pleasant</text>
      </svg>
      <figcaption>Valence and arousal: a dot a segment, larger where it is longer, joined in time.</figcaption>
    </figure>
  );
}
