/** Numbers as people read them. */

export const percent = (share: number): string => `${Math.round(share * 100)}\u00a0%`;

/** Minutes, seconds and tenths, as 1:02.5; hours where there are any. */
export function clock(time_s: number, tenths = true): string {
  const step = tenths ? 10 : 1;
  const units = Math.max(0, tenths ? Math.round(time_s * step) : Math.floor(time_s));
  const whole = Math.floor(units / step);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = `${String(whole % 60).padStart(2, "0")}${tenths ? `.${units % step}` : ""}`;
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export const megabytes = (bytes: number): string =>
  bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
