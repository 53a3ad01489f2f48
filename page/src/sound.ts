/** Waveform and playing of one recording (wavesurfer.js); the window of time that is seen. */

import WaveSurfer from "wavesurfer.js";
import Regions from "wavesurfer.js/plugins/regions";

export interface Span { start_s: number; end_s: number }
export interface Stretch extends Span { colour: string }

export interface SoundEvents {
  onView(view: Span): void;
  onTime(time_s: number): void;
  onPlaying(playing: boolean): void;
  onSilent(): void;
  onFlat(): void;
  onSeek(): void;
}

const POINTS = 24_000;
const DECODED_AT_MOST_S = 3600;
const DECODED_AT_MOST_BYTES = 400e6;
const REGIONS_AT_MOST = 400;
const PALE = "2e", STRONG = "66";

export class Sound {
  private readonly wave: WaveSurfer;
  private readonly regions = Regions.create();
  private readonly url: string;
  private audible = true;
  private gone = false;
  private stretches: Stretch[] = [];
  private chosen: Stretch | null = null;

  constructor(container: HTMLElement, private readonly file: File, readonly duration_s: number, private readonly events: SoundEvents) {
    this.url = URL.createObjectURL(file);
    const style = getComputedStyle(container);
    this.wave = WaveSurfer.create({
      container,
      height: 112,
      waveColor: style.getPropertyValue("--wave"),
      progressColor: style.getPropertyValue("--wave-heard"),
      cursorColor: style.getPropertyValue("--accent"),
      cursorWidth: 2,
      barWidth: 2,
      barGap: 1,
      barRadius: 2,
      normalize: true,
      dragToSeek: true,
      autoCenter: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      plugins: [this.regions],
    });
    this.wave.on("timeupdate", (time_s) => events.onTime(time_s));
    this.wave.on("interaction", () => events.onSeek());
    this.wave.on("play", () => events.onPlaying(true));
    this.wave.on("pause", () => events.onPlaying(false));
    this.wave.on("finish", () => events.onPlaying(false));
    for (const name of ["scroll", "redraw", "zoom"] as const) this.wave.on(name, () => events.onView(this.view()));
    this.wave.on("ready", () => { this.draw(); events.onView(this.view()); });
    this.wave.on("error", () => this.mute());  // load() does not settle when a medium is refused
    void this.load();
  }

  private async load(): Promise<void> {
    const peaks = await this.peaks();
    if (this.gone) return;
    if (peaks === null) this.events.onFlat();
    this.wave.load(this.url, [peaks ?? new Float32Array(2)], this.duration_s).catch(() => this.mute());
  }

  /** Largest magnitudes, shape (points,); none of what the browser cannot decode, or should not at this length. */
  private async peaks(): Promise<Float32Array | null> {
    if (this.duration_s > DECODED_AT_MOST_S || this.file.size > DECODED_AT_MOST_BYTES) return null;
    try {
      const decoder = new OfflineAudioContext(1, 1, 8000);
      const decoded = await decoder.decodeAudioData(await this.file.arrayBuffer());
      const size = Math.max(1, Math.ceil(decoded.length / POINTS));
      const peaks = new Float32Array(Math.ceil(decoded.length / size));
      for (let channel = 0; channel < decoded.numberOfChannels; channel += 1) {
        decoded.getChannelData(channel).forEach((sample, at) => {
          const point = Math.floor(at / size);
          peaks[point] = Math.max(peaks[point]!, Math.abs(sample));
        });
      }
      return peaks;
    } catch {
      return null;
    }
  }

  private mute(): void {
    if (!this.audible || this.gone) return;
    this.audible = false;
    this.events.onSilent();
    this.wave.load("", [new Float32Array(2)], this.duration_s).catch(() => undefined);
  }

  view(): Span {
    const whole = this.wave.getWrapper().scrollWidth || 1;
    const start_s = (this.wave.getScroll() / whole) * this.duration_s;
    return { start_s, end_s: Math.min(this.duration_s, start_s + (this.wave.getWidth() / whole) * this.duration_s) };
  }

  /** Colours stretches of the waveform, and one of them more strongly. */
  mark(stretches: Stretch[], chosen: Stretch | null): void {
    this.stretches = stretches;
    this.chosen = chosen;
    if (this.wave.getDuration()) this.draw();
  }

  private draw(): void {
    this.regions.clearRegions();
    const few = this.stretches.length <= REGIONS_AT_MOST;
    for (const one of few ? this.stretches : this.chosen ? [this.chosen] : []) {
      const strength = one.start_s === this.chosen?.start_s ? STRONG : PALE;
      this.regions.addRegion({ start: one.start_s, end: one.end_s, color: one.colour + strength, drag: false, resize: false });
    }
  }

  toggle(): void {
    if (this.audible) this.wave.playPause().catch((error: unknown) => this.refused(error));
  }

  play(span: Span): void {
    this.wave.setTime(span.start_s);
    if (this.audible) this.wave.play(span.start_s, span.end_s).catch((error: unknown) => this.refused(error));
  }

  /** Playing that another click interrupts is refused too, and no fault. */
  private refused(error: unknown): void {
    if (error instanceof DOMException && error.name === "NotSupportedError") this.mute();
  }

  seek(time_s: number): void { this.wave.setTime(Math.min(this.duration_s, Math.max(0, time_s))); }

  get time_s(): number { return this.wave.getCurrentTime(); }

  /** 1 shows the whole recording. */
  zoom(times: number): void {
    const time_s = this.time_s;
    this.wave.zoom(times <= 1 ? 0 : (this.wave.getWidth() / this.duration_s) * times);
    this.wave.setScrollTime(Math.max(0, time_s - this.duration_s / times / 2));
  }

  /** Takes the colours of the page anew, once it has become dark or light. */
  recolour(container: HTMLElement): void {
    const style = getComputedStyle(container);
    this.wave.setOptions({ waveColor: style.getPropertyValue("--wave"), progressColor: style.getPropertyValue("--wave-heard") });
  }

  close(): void {
    this.gone = true;
    this.wave.destroy();
    URL.revokeObjectURL(this.url);
  }
}
