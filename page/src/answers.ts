/** Reading of a timeline: which answer a segment has under a threshold, and sums over a recording. */

import type { Segment, Timeline } from "./api";

export const UNCERTAIN = "uncertain";

export const likely = (segment: Segment): string | null => {
  let best: string | null = null;
  for (const name in segment.probabilities) {
    if (best === null || segment.probabilities[name]! > segment.probabilities[best]!) best = name;
  }
  return best;
};

export const isUncertain = (segment: Segment, threshold: number): boolean =>
  segment.confidence !== null && segment.confidence < threshold;

export const answer = (segment: Segment, threshold: number): string | null =>
  isUncertain(segment, threshold) ? UNCERTAIN : likely(segment);

export const seconds = (segment: Segment): number => (segment.end_ms - segment.start_ms) / 1000;

/** Words for a voice; empty for a recording's only one. */
export const voiceOf = (one: { channel: number | null; speaker: string | null }): string =>
  [one.speaker ?? "", one.channel === null ? "" : `channel ${one.channel}`].filter(Boolean).join(", ");

export interface Voice { name: string; segments: Segment[] }

/** Segments of each voice, by time; voices that never speak have none. */
export function voices(timeline: Timeline): Voice[] {
  const found = new Map<string, Segment[]>();
  const spoken = new Set(timeline.segments.map((one) => one.channel));
  for (const channel of timeline.channels) {
    if (!spoken.has(channel)) found.set(voiceOf({ channel, speaker: null }), []);
  }
  for (const segment of timeline.segments) {
    const name = voiceOf(segment);
    const known = found.get(name);
    if (known) known.push(segment);
    else found.set(name, [segment]);
  }
  return [...found].map(([name, segments]) => ({ name, segments: segments.toSorted((a, b) => a.start_ms - b.start_ms) }));
}

export interface Shares { speech_s: number; of: [name: string, share: number][] }

/** Share of the speech that each answer has, the largest first. */
export function shares(timeline: Timeline, threshold: number): Shares {
  const sums = new Map<string, number>();
  let speech_s = 0;
  for (const segment of timeline.segments) {
    const name = answer(segment, threshold);
    speech_s += seconds(segment);
    if (name !== null) sums.set(name, (sums.get(name) ?? 0) + seconds(segment));
  }
  const of = [...sums].map(([name, sum]): [string, number] => [name, sum / speech_s]);
  return { speech_s, of: of.sort((a, b) => b[1] - a[1]) };
}

/** Share of the time in which two models both hear speech of the same voice and say the same of it. */
export function agreement(first: Timeline, second: Timeline): number | null {
  const others = new Map(voices(second).map((voice) => [voice.name, voice.segments]));
  let both = 0, same = 0;
  for (const voice of voices(first)) {
    const beside = others.get(voice.name) ?? [];
    let from = 0;
    for (const one of voice.segments) {
      while (from < beside.length && beside[from]!.end_ms <= one.start_ms) from += 1;
      for (let at = from; at < beside.length && beside[at]!.start_ms < one.end_ms; at += 1) {
        const other = beside[at]!;
        const overlap = Math.min(one.end_ms, other.end_ms) - Math.max(one.start_ms, other.start_ms);
        both += overlap;
        if (likely(one) === likely(other)) same += overlap;
      }
    }
  }
  return both ? same / both : null;
}
