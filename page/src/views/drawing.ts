/** What strips show: answers as bands, probabilities and dimensions by class, marks of time. */

import { answer, isUncertain, likely } from "../answers";
import type { Scale, Segment } from "../api";
import { colourOf, lettersOn } from "../colours";
import { capital, clock } from "../words";
import type { Pen } from "./Strip";

const box = (pen: Pen, segment: Segment): [left: number, width: number] => {
  const left = pen.x(segment.start_ms / 1000);
  return [left, Math.max(1, pen.x(segment.end_ms / 1000) - left)];
};
const seen = (pen: Pen, [left, width]: [number, number]): boolean => left < pen.width && left + width > 0;

/** Each answer in its colour and in words; hatched where it is uncertain; a thin line where nobody speaks. */
export const drawBand = (segments: Segment[], threshold: number, chosen: Segment | null) => (pen: Pen): void => {
  const { context, height } = pen;
  context.fillStyle = pen.colour("--line");
  context.fillRect(0, height / 2 - 0.5, pen.width, 1);
  context.font = `600 12px ${pen.colour("--sans")}`;
  context.textBaseline = "middle";
  for (const segment of segments) {
    const [left, width] = box(pen, segment);
    if (!seen(pen, [left, width])) continue;
    const colour = colourOf(likely(segment));
    const doubtful = isUncertain(segment, threshold);
    rounded(pen, left, width, doubtful ? pen.colour("--card") : colour);
    if (doubtful) hatch(pen, left, width, colour);
    if (segment === chosen) outline(pen, left, width);
    write(pen, left, width, capital(answer(segment, threshold) ?? "speech"), doubtful ? null : colour);
  }
};

/** A word at its place, shortened to what there is room for; ground null = hatched. */
function write(pen: Pen, left: number, width: number, word: string, ground: string | null): void {
  const { context, height } = pen;
  const short = ground === null ? "?" : word.charAt(0);
  const text = [word, `${word.slice(0, 3)}.`, short].find((one) => context.measureText(one).width <= width - 12);
  if (!text) return;
  const wide = context.measureText(text).width;
  const at = text === word ? left + 8 : left + (width - wide) / 2;
  if (ground === null) {
    context.fillStyle = pen.colour("--card");
    context.fillRect(at - 3, height / 2 - 9, wide + 6, 18);
  }
  context.fillStyle = ground === null ? pen.colour("--ink") : lettersOn(ground);
  context.fillText(text, at, height / 2 + 0.5);
}

function rounded({ context, height }: Pen, left: number, width: number, colour: string): void {
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(left + 0.5, 1, Math.max(1, width - 1), height - 2, Math.min(5, width / 3));
  context.fill();
}

function outline(pen: Pen, left: number, width: number): void {
  pen.context.strokeStyle = pen.colour("--ink");
  pen.context.lineWidth = 2;
  pen.context.beginPath();
  pen.context.roundRect(left + 1, 1, Math.max(1, width - 2), pen.height - 2, 5);
  pen.context.stroke();
}

function hatch({ context, height }: Pen, left: number, width: number, colour: string): void {
  context.save();
  context.beginPath();
  context.roundRect(left + 0.5, 1, Math.max(1, width - 1), height - 2, Math.min(5, width / 3));
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.stroke();
  context.clip();
  for (let x = left - height; x < left + width; x += 6) {
    context.moveTo(x, height);
    context.lineTo(x + height, 0);
  }
  context.stroke();
  context.restore();
}

/** One class: how probable it is, as the height of its bars. */
export const drawProbability = (segments: Segment[], name: string, threshold: number) => (pen: Pen): void => {
  const { context, height } = pen;
  context.fillStyle = pen.colour("--line");
  context.fillRect(0, height - 1, pen.width, 1);
  const colour = colourOf(name);
  for (const segment of segments) {
    const [left, width] = box(pen, segment);
    if (!seen(pen, [left, width])) continue;
    const share = segment.probabilities[name] ?? 0;
    context.globalAlpha = likely(segment) === name && !isUncertain(segment, threshold) ? 1 : 0.45;
    context.fillStyle = colour;
    context.fillRect(left, height - 1 - share * (height - 3), Math.max(1, width - 1), share * (height - 3) + 1);
  }
  context.globalAlpha = 1;
};

/** One dimension on its scale: a line through speech, with gaps where nobody speaks. */
export const drawDimension = (segments: Segment[], name: string, scale: Scale) => (pen: Pen): void => {
  const { context, height } = pen;
  const y = (value: number): number => height - 4 - ((value - scale.low) / (scale.high - scale.low)) * (height - 8);
  context.fillStyle = pen.colour("--line");
  context.fillRect(0, height / 2 - 0.5, pen.width, 1);
  context.strokeStyle = pen.colour("--accent");
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.beginPath();
  let before: Segment | null = null;
  for (const segment of segments) {
    const value = segment.dimensions[name];
    if (value === undefined) continue;
    const [left, width] = box(pen, segment);
    if (before?.end_ms === segment.start_ms) context.lineTo(left, y(value));
    else context.moveTo(left, y(value));
    context.lineTo(left + width, y(value));
    before = segment;
  }
  context.stroke();
};

const STEPS_S = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

/** Marks of time, no closer than they can be read. */
export const drawAxis = (start_s: number, end_s: number) => (pen: Pen): void => {
  const { context } = pen;
  const step_s = STEPS_S.find((step) => pen.x(start_s + step) >= 64) ?? STEPS_S.at(-1)!;
  context.fillStyle = pen.colour("--muted");
  context.font = `11px ${pen.colour("--sans")}`;
  context.textBaseline = "top";
  for (let time_s = Math.ceil(start_s / step_s) * step_s; time_s <= end_s; time_s += step_s) {
    const x = pen.x(time_s);
    context.fillRect(x, 0, 1, 4);
    if (x < pen.width - 30) context.fillText(clock(time_s, step_s < 1), x + 3, 3);
  }
};
