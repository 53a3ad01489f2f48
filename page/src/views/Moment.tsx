/** One segment in words: the answer, how sure the model is, and every class and dimension. */

import { useRef } from "preact/hooks";
import { isUncertain, likely, shares } from "../answers";
import type { Model, Segment, Timeline } from "../api";
import { capital, clock, percent } from "../words";
import { Bars } from "./Bars";

interface Props { segment: Segment | null; timeline: Timeline; threshold: number; model: Model }

export function Moment({ segment, timeline, threshold, model }: Props) {
  const begun = useRef(false);
  begun.current ||= segment !== null;
  if (!begun.current) return <Overall timeline={timeline} threshold={threshold} />;
  if (!segment) {
    const none = Object.fromEntries(model.classes.map((name) => [name, 0]));
    return <div class="moment"><h3>This moment</h3><p class="verdict">Nobody speaks</p><Bars probabilities={none} threshold={threshold} /></div>;
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

/** Shares of all speech, until something is played or chosen. */
function Overall({ timeline, threshold }: { timeline: Timeline; threshold: number }) {
  const { of, speech_s } = shares(timeline, threshold);
  const [most] = of;
  return (
    <div class="moment">
      <h3>The whole recording</h3>
      <p class="verdict">{most ? <>{capital(most[0])} <small>{percent(most[1])} of the speech</small></> : speech_s ? "Speech" : "No speech"}</p>
      <Bars probabilities={Object.fromEntries(of)} threshold={0} />
      <p class="hint">Play it, or choose a segment, to see a moment.</p>
    </div>
  );
}
