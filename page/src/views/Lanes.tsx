/** What one model says along the time: a band for each voice, and below it each class and dimension. */

import { useMemo, useState } from "preact/hooks";
import { answer, voices as voicesOf } from "../answers";
import type { Model, Segment, Timeline } from "../api";
import type { Span } from "../sound";
import { capital, clock, percent } from "../words";
import { drawBand, drawDimension, drawProbability } from "./drawing";
import { Strip } from "./Strip";

interface Props {
  name: string;
  model: Model;
  timeline: Timeline;
  threshold: number;
  view: Span;
  curves: boolean;
  chosen: Segment | null;
  onPlay(segment: Segment): void;
}

export function Lanes({ name, model, timeline, threshold, view, curves, chosen, onPlay }: Props) {
  const voices = useMemo(() => voicesOf(timeline), [timeline]);
  return (
    <div class="of-model" role="group" aria-label={name || "Answers"}>
      {voices.map((voice) => (
        <div key={voice.name} class="of-voice">
          <Band
            label={[name, capital(voice.name)].filter(Boolean).join(", ") || "Answer"}
            segments={voice.segments} threshold={threshold} view={view} chosen={chosen} onPlay={onPlay}
          />
          {curves && voice.segments.length > 0 && (
            <>
              {model.classes.map((one) => <Curve key={one} view={view} segments={voice.segments} name={one} threshold={threshold} />)}
              {Object.entries(model.dimensions).map(([one, scale]) => <Trace key={one} name={one} scale={scale} view={view} segments={voice.segments} />)}
            </>
          )}
        </div>
      ))}
      {!timeline.segments.length && <p class="hint">Nobody speaks here.</p>}
    </div>
  );
}

interface BandProps { label: string; segments: Segment[]; threshold: number; view: Span; chosen: Segment | null; onPlay(segment: Segment): void }

function Band({ label, segments, threshold, view, chosen, onPlay }: BandProps) {
  const draw = useMemo(() => drawBand(segments, threshold, chosen), [segments, threshold, chosen]);
  const [at, setAt] = useState(0);
  const now = segments[at];
  const words = (one: Segment): string =>
    `${answer(one, threshold) ?? "speech"}${one.confidence === null ? "" : `, ${percent(one.confidence)} sure`}, ${clock(one.start_ms / 1000)} to ${clock(one.end_ms / 1000)}`;

  const onKey = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowUp: at + 1, ArrowDown: at - 1, Home: 0, End: segments.length - 1, PageUp: at + 10, PageDown: at - 10 };
    if ((event.key === "Enter" || event.key === " ") && now) onPlay(now);
    else if (event.key in steps) setAt(Math.min(segments.length - 1, Math.max(0, steps[event.key]!)));
    else return;
    event.preventDefault();
  };
  const onClick = (event: MouseEvent): void => {
    const place = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const time_ms = (view.start_s + ((event.clientX - place.left) / place.width) * (view.end_s - view.start_s)) * 1000;
    const found = segments.findIndex((one) => one.start_ms <= time_ms && time_ms < one.end_ms);
    if (found < 0) return;
    setAt(found);
    onPlay(segments[found]!);
  };
  const span_s = view.end_s - view.start_s || 1;
  const left = now ? (now.start_ms / 1000 - view.start_s) / span_s : 0;
  const right = now ? (now.end_ms / 1000 - view.start_s) / span_s : 0;
  return (
    <div class="lane">
      <span class="label">{label}</span>
      {segments.length > 0 ? (
        <div
          class="band" role="slider" tabIndex={0} aria-label={`${label}: segments, Enter plays one`}
          aria-valuemin={1} aria-valuemax={segments.length} aria-valuenow={at + 1}
          aria-valuetext={now ? `${at + 1} of ${segments.length}: ${words(now)}` : ""}
          onKeyDown={onKey} onClick={onClick}
        >
          <Strip view={view} height={34} draw={draw} />
          {right > 0 && left < 1 && <i class="here" style={{ left: `${Math.max(0, left) * 100}%`, width: `${(Math.min(1, right) - Math.max(0, left)) * 100}%` }} />}
        </div>
      ) : <span class="hint">never speaks</span>}
    </div>
  );
}

interface CurveProps { view: Span; segments: Segment[]; name: string; threshold: number }

function Curve({ view, segments, name, threshold }: CurveProps) {
  const draw = useMemo(() => drawProbability(segments, name, threshold), [segments, name, threshold]);
  return <div class="lane curve"><span class="label">{capital(name)}</span><Strip view={view} height={24} draw={draw} /></div>;
}

function Trace({ name, scale, view, segments }: { name: string; scale: { low: number; high: number }; view: Span; segments: Segment[] }) {
  const draw = useMemo(() => drawDimension(segments, name, scale), [segments, name, scale]);
  return <div class="lane curve"><span class="label">{capital(name)} <small>{scale.low}–{scale.high}</small></span><Strip view={view} height={40} draw={draw} /></div>;
}
