/** One recording: its sound, what each model says along it, the moment in view, a table, and downloads. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { UNCERTAIN, agreement, isUncertain, likely, seconds, shares } from "../answers";
import type { Segment, Timeline } from "../api";
import { colourOf } from "../colours";
import type { Desk, Recording } from "../desk";
import { Sound } from "../sound";
import type { Span } from "../sound";
import { clock, percent } from "../words";
import { Downloads } from "./Downloads";
import { Glyph } from "./Glyph";
import { Lanes } from "./Lanes";
import { Moment } from "./Moment";
import { Plane } from "./Plane";
import { drawAxis } from "./drawing";
import { Strip, useDark } from "./Strip";
import { Table } from "./Table";

interface Props {
  desk: Desk;
  recording: Recording;
  threshold(model: string): number;
  onThreshold(model: string, value: number): void;
}

export function Heard({ desk, recording, threshold, onThreshold }: Props) {
  const heard = desk.chosen.flatMap((name): { name: string; timeline: Timeline }[] => {
    const timeline = recording.answers.get(name)?.timeline;
    return timeline && recording.answers.get(name)?.state === "done" ? [{ name, timeline }] : [];
  });
  const [shown, show] = useState("");
  const first = heard.find((one) => one.name === shown) ?? heard[0];
  if (!first) return null;
  return <Whole key={desk.chosen.join()} {...{ desk, recording, threshold, onThreshold, heard, first, show }} />;
}

interface WholeProps extends Props { heard: { name: string; timeline: Timeline }[]; first: { name: string; timeline: Timeline }; show(name: string): void }

function Whole({ desk, recording, threshold, onThreshold, heard, first, show }: WholeProps) {
  const { duration_s } = first.timeline;
  const wave = useRef<HTMLDivElement>(null);
  const sound = useRef<Sound | null>(null);
  const [view, setView] = useState<Span>({ start_s: 0, end_s: duration_s });
  const [playing, setPlaying] = useState(false);
  const [current, setCurrent] = useState<Segment | null>(null);
  const now = useRef<HTMLSpanElement>(null);
  const needle = useRef<HTMLElement>(null);
  const [silent, setSilent] = useState(false);
  const [flat, setFlat] = useState(false);
  const [zoom, setZoom] = useState(1);
  const [chosen, choose] = useState<Segment | null>(null);
  const [curves, setCurves] = useState(true);
  const dark = useDark();
  const least = threshold(first.name);
  const model = desk.models.find((one) => one.name === first.name)!;
  const ordered = useMemo(() => first.timeline.segments.toSorted((a, b) => a.start_ms - b.start_ms), [first.timeline]);

  // sixty times a second while it plays: no new rendering but where another segment begins
  const place = useRef((_: number): void => undefined);
  place.current = (time_s) => {
    const share = (time_s - view.start_s) / (view.end_s - view.start_s || 1);
    now.current!.textContent = clock(time_s);
    needle.current!.hidden = share < 0 || share > 1;
    needle.current!.style.left = `${share * 100}%`;
    setCurrent(ordered.findLast((one) => one.start_ms <= time_s * 1000 && time_s * 1000 < one.end_ms) ?? null);
  };
  useEffect(() => place.current(sound.current?.time_s ?? 0), [view, ordered]);

  useEffect(() => {
    sound.current = new Sound(wave.current!, recording.file, duration_s, {
      onView: (now) => setView((before) => before.start_s === now.start_s && before.end_s === now.end_s ? before : now),
      onTime: (time_s) => place.current(time_s),
      onPlaying: setPlaying,
      onSilent: () => setSilent(true),
      onFlat: () => setFlat(true),
      onSeek: () => choose(null),
    });
    return () => sound.current!.close();
  }, [recording]);

  useEffect(() => {
    const stretch = (one: Segment) => ({
      start_s: one.start_ms / 1000,
      end_s: one.end_ms / 1000,
      colour: isUncertain(one, least) ? "#8a8580" : colourOf(likely(one)),
    });
    sound.current!.mark(ordered.map(stretch), chosen && stretch(chosen));
  }, [ordered, chosen, least]);
  useEffect(() => sound.current!.recolour(wave.current!), [dark]);

  const play = (segment: Segment): void => {
    choose(segment);
    sound.current!.play({ start_s: segment.start_ms / 1000, end_s: segment.end_ms / 1000 });
  };
  const toggle = (): void => { choose(null); sound.current!.toggle(); };
  const enlarge = (times: number): void => { setZoom(times); sound.current!.zoom(times); };
  const agree = heard.length === 2 ? agreement(heard[0]!.timeline, heard[1]!.timeline) : null;
  const largest = Math.max(1, Math.min(64, Math.round(duration_s / 4)));
  const axis = useMemo(() => drawAxis(view.start_s, view.end_s), [view]);

  return (
    <section class="card heard" aria-labelledby="heard">
      <h2 id="heard">{recording.file.name}</h2>
      <p class="sum">{heard.length > 1 && `${first.name}: `}{summary(first.timeline, least)}{agree !== null && ` The two models agree on ${percent(agree)} of the speech.`}</p>

      <div class="timeline" role="group" aria-label="Timeline">
        <div class="controls row">
          <button type="button" class="main play" disabled={silent} aria-label={playing ? "Pause" : "Play"} onClick={toggle}>
            <Glyph of={playing ? "pause" : "play"} />
          </button>
          <span class="clock"><span ref={now}>0:00.0</span> <small>of {clock(duration_s)}</small></span>
          <span class="grow" />
          <button type="button" class="small" aria-pressed={curves} onClick={() => setCurves(!curves)}>Curves</button>
          <button type="button" class="small" disabled={zoom <= 1} aria-label="See more at once" onClick={() => enlarge(zoom / 2)}><Glyph of="minus" /></button>
          <button type="button" class="small" disabled={zoom >= largest} aria-label="See closer" onClick={() => enlarge(zoom * 2)}><Glyph of="plus" /></button>
        </div>
        {silent && <p class="hint" role="status">This browser cannot play this kind of file. The answers are whole; only the sound is missing.</p>}
        {flat && !silent && <p class="hint">Its waveform is not drawn, since it is longer than an hour or of a kind that this browser cannot decode. It plays all the same.</p>}
        <div class="lane"><span class="label">Sound</span><div ref={wave} class="wave" /></div>
        <div class="lanes">
          {heard.map(({ name, timeline }) => (
            <Lanes
              key={name}
              name={heard.length > 1 ? name : ""}
              model={desk.models.find((one) => one.name === name)!}
              timeline={timeline}
              threshold={threshold(name)}
              view={view}
              curves={curves}
              chosen={chosen}
              onPlay={(segment) => { show(name); play(segment); }}
            />
          ))}
          <div class="lane"><span class="label" /><Strip view={view} height={18} draw={axis} /></div>
          <div class="needle" aria-hidden="true"><i ref={needle} /></div>
        </div>
      </div>

      {heard.filter((one) => desk.models.find((model) => model.name === one.name)?.classes.length).map(({ name, timeline }) => (
        <Threshold
          key={name}
          name={heard.length > 1 ? name : ""}
          value={threshold(name)}
          timeline={timeline}
          known={desk.models.find((one) => one.name === name)?.threshold ?? {}}
          onChange={(value) => onThreshold(name, value)}
        />
      ))}

      {heard.length > 1 && (
        <div class="row tabs" role="group" aria-label="Details of">
          {heard.map(({ name }) => <button key={name} type="button" class="small" aria-pressed={name === first.name} onClick={() => show(name)}>{name}</button>)}
        </div>
      )}
      <div class="details">
        <div>
          <Moment segment={chosen ?? current} timeline={first.timeline} threshold={least} model={model} />
          <Plane segments={ordered} dimensions={model.dimensions} current={chosen ?? current} onPlay={play} />
        </div>
        <Table segments={ordered} model={model} threshold={least} current={chosen ?? current} onPlay={play} />
      </div>
      <Downloads desk={desk} recording={recording} model={first.name} threshold={least} />
    </section>
  );
}

function summary(timeline: Timeline, threshold: number): string {
  const { speech_s, of } = shares(timeline, threshold);
  if (!timeline.segments.length) return `Nobody speaks in these ${clock(timeline.duration_s)}.`;
  const parts = of.filter(([name]) => name !== UNCERTAIN).slice(0, 4).map(([name, share]) => `${name} ${percent(share)}`);
  const doubtful = of.find(([name]) => name === UNCERTAIN)?.[1] ?? 0;
  const said = parts.length ? ` It sounds like ${parts.join(", ")}${doubtful ? `; ${percent(doubtful)} is uncertain` : ""}.` : doubtful ? " All of it is uncertain." : "";
  return `${clock(speech_s)} of speech in ${clock(timeline.duration_s)}.${said}`;
}

interface ThresholdProps { name: string; value: number; timeline: Timeline; known: Record<string, number>; onChange(value: number): void }

function Threshold({ name, value, timeline, known, onChange }: ThresholdProps) {
  const speech_s = timeline.segments.reduce((sum, one) => sum + seconds(one), 0);
  const doubtful_s = timeline.segments.reduce((sum, one) => sum + (isUncertain(one, value) ? seconds(one) : 0), 0);
  const id = `threshold-${name}`;
  const covered = Object.entries(known).filter(([, least]) => least <= value).map(([coverage]) => Number(coverage)).sort((a, b) => a - b)[0];
  return (
    <div class="threshold">
      <label for={id}>{name && `${name}: `}Say “uncertain” below</label>
      <input
        id={id} type="range" min="0" max="1" step="0.01" value={value}
        aria-valuetext={`${percent(value)}; ${percent(speech_s ? doubtful_s / speech_s : 0)} of the speech is uncertain`}
        onInput={(event) => onChange(event.currentTarget.valueAsNumber)}
      />
      <output for={id}>
        <b>{percent(value)}</b> sure{" "}
        <span class="hint">
          {value === 0 ? "now every stretch of speech gets an answer" : `${percent(speech_s ? doubtful_s / speech_s : 0)} of this speech is uncertain`}
          {value > 0 && covered !== undefined && `; the clips it was tuned with would get an answer ${percent(covered)} of the time`}
        </span>
      </output>
    </div>
  );
}
