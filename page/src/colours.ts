/** A colour for each answer, after Okabe and Ito's palette, which readers of any colour vision tell apart. */

import { UNCERTAIN } from "./answers";

const KNOWN: Record<string, string> = {
  anger: "#d55e00",
  happiness: "#efc42a",
  sadness: "#0072b2",
  neutral: "#8f8a84",
  fear: "#cc79a7",
  disgust: "#009e73",
  surprise: "#56b4e9",
  calm: "#5fb7a5",
  contempt: "#8b5a2b",
  excitement: "#e69f00",
  frustration: "#a23b52",
  boredom: "#a7ad63",
  [UNCERTAIN]: "#b9b5ae",
};
const OTHERS = ["#6a7fdb", "#b0762f", "#6c9a2d", "#b05fc0", "#4aa3a0", "#c46a6a", "#7a5195", "#8f8f3a"];
const given = new Map<string, string>();

export function colourOf(name: string | null): string {
  if (name === null) return "#7d8790";
  const known = KNOWN[name] ?? given.get(name);
  if (known) return known;
  const next = OTHERS[given.size % OTHERS.length]!;
  given.set(name, next);
  return next;
}

/** Dark or light letters, whichever are read better on a colour. */
export function lettersOn(colour: string): string {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#14181c" : "#ffffff";
}
