/** One segment in words: the answer, how sure the model is, and every class and dimension. */

import { isUncertain, likely } from "../answers";
import type { Model, Segment } from "../api";
import { capital, clock, percent } from "../words";
import { Bars } from "./Bars";

interface Props { segment: Segment | null; threshold: number; model: Model }

export function Moment({ segment, threshold, model }: Props) {
  if (!segment) {
    return <div class="moment"><h3>This moment</h3><p class="hint">Nobody speaks. Play the recording, or choose a segment, to see what the model makes of it.</p></div>;
  }
  const best = likely(segment);
  return (
    <div class="moment">
      <h3>This moment <small>{clock(segment.start_ms / 1000)} to {clock(segment.end_ms / 1000)}</small></h3>
      {best !== null && (
        <p class="verdict">
          {isUncertain(segment, threshold)
            ? <>Uncertain <small>closest to {best}, {percent(segment.confidence!)} sure</small></>
            : <>{capital(best)} <small>{percent(segment.confidence!)} sure</small></>}
        </p>
      )}
      <Bars probabilities={segment.probabilities} threshold={threshold} />
      {Object.entries(segment.dimensions).map(([name, value]) => (
        <p key={name} class="dimension">{capital(name)} <b>{value.toFixed(2)}</b> <small>from {model.dimensions[name]?.low} to {model.dimensions[name]?.high}</small></p>
      ))}
    </div>
  );
}
