/** Canvas along the recording's time; draws what is in view. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Span } from "../sound";

export interface Pen {
  context: CanvasRenderingContext2D;
  width: number;
  height: number;
  x(time_s: number): number;
  colour(name: string): string;
}

interface Props { view: Span; height: number; draw(pen: Pen): void; label?: string }

export function Strip({ view, height, draw, label }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const dark = useDark();

  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.round(entry!.contentRect.width)));
    watch.observe(canvas.current!);
    return () => watch.disconnect();
  }, []);

  useEffect(() => {
    const element = canvas.current!;
    const context = element.getContext("2d");
    if (!context || !width) return;
    const scale = devicePixelRatio || 1;
    element.width = width * scale;
    element.height = height * scale;
    context.scale(scale, scale);
    const style = getComputedStyle(element);
    const span_s = view.end_s - view.start_s || 1;
    draw({
      context, width, height,
      x: (time_s) => ((time_s - view.start_s) / span_s) * width,
      colour: (name) => style.getPropertyValue(name),
    });
  }, [width, height, view.start_s, view.end_s, draw, dark]);

  return <canvas ref={canvas} class="strip" style={{ height: `${height}px` }} {...(label ? { role: "img", "aria-label": label } : { "aria-hidden": true })} />;
}

export function useDark(): boolean {
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const change = () => setDark(query.matches);
    query.addEventListener("change", change);
    return () => query.removeEventListener("change", change);
  }, []);
  return dark;
}
