/** Recordings on the page, and what each model has said of them; one at a time is being heard. */

import { Problem, forget, hear, pause, result } from "./api";
import type { Model, Settings, Timeline } from "./api";

export interface Answer {
  state: "waiting" | "hearing" | "done" | "failed" | "cancelled";
  progress: number;
  note?: string;
  timeline?: Timeline;
  problem?: Problem;
  job?: string;
  stop?: AbortController;
}

export interface Recording { id: number; file: File; answers: Map<string, Answer> }

export class Desk {
  recordings: Recording[] = [];
  settings: Settings = { window_s: 2, hop_s: 1, vad: "silero", channel: "mix" };
  /** names of the models that hear everything: one, or two beside each other */
  chosen: string[] = [];
  models: Model[] = [];
  refused: () => void = () => undefined;
  private busy = false;
  private next = 1;

  constructor(private readonly changed: () => void) {}

  add(files: File[]): Recording[] {
    const fresh = files.map((file) => ({ id: this.next++, file, answers: new Map<string, Answer>() }));
    this.recordings = [...this.recordings, ...fresh];
    this.work();
    return fresh;
  }

  remove(recording: Recording): void {
    this.clear(recording);
    this.recordings = this.recordings.filter((one) => one !== recording);
    this.changed();
  }

  cancel(recording: Recording): void {
    for (const one of recording.answers.values()) {
      if (one.state === "waiting" || one.state === "hearing") this.end(one);
    }
    this.changed();
  }

  again(recording: Recording): void {
    for (const [model, one] of recording.answers) {
      if (one.state === "failed" || one.state === "cancelled") recording.answers.delete(model);
    }
    this.work();
  }

  /** Hears everything anew, with other settings. */
  change(settings: Settings): void {
    this.settings = settings;
    for (const recording of this.recordings) { this.clear(recording); }
    this.work();
  }

  choose(models: string[]): void {
    this.chosen = models;
    this.work();
  }

  forgetAll(): void {
    for (const recording of this.recordings) for (const one of recording.answers.values()) if (one.job) forget(one.job);
  }

  /** A file in one of the server's formats, for one recording or, where the format holds many, for all. */
  async download(recordings: Recording[], model: string, format: string, threshold: number): Promise<Blob> {
    const query: Record<string, string> = threshold > 0 ? { format, threshold: String(threshold) } : { format };
    if (format === "csv") query["spreadsheet_safe"] = "true";
    const [only] = recordings;
    const kept = recordings.length === 1 ? only?.answers.get(model)?.job : undefined;
    const { signal } = new AbortController();
    if (kept) {
      try {
        return await (await result(kept, query, signal)).blob();
      } catch (error) {
        if (!(error instanceof Problem && error.status === 404)) throw error;
      }
    }
    let job = "";
    const files = recordings.map((one) => one.file);
    const answer = await hear({ files, model, settings: this.settings, query, signal, onJob: (id) => { job = id; }, onProgress: () => undefined });
    const blob = await answer.blob();
    if (job) forget(job);
    return blob;
  }

  private clear(recording: Recording): void {
    for (const one of recording.answers.values()) this.end(one);
    recording.answers.clear();
  }

  private end(one: Answer): void {
    one.stop?.abort();
    if (one.job) forget(one.job);
    if (one.state !== "done") one.state = "cancelled";
  }

  private work(): void {
    for (const recording of this.recordings) {
      for (const model of this.chosen) {
        if (!recording.answers.has(model)) recording.answers.set(model, { state: "waiting", progress: 0 });
      }
    }
    this.changed();
    if (!this.busy) void this.run();
  }

  private async run(): Promise<void> {
    this.busy = true;
    for (let task = this.waiting(); task; task = this.waiting()) await this.hear(...task);
    this.busy = false;
  }

  private waiting(): [Recording, string, Answer] | undefined {
    for (const recording of this.recordings) {
      for (const model of this.chosen) {
        const one = recording.answers.get(model);
        if (one?.state === "waiting") return [recording, model, one];
      }
    }
    return undefined;
  }

  private async hear(recording: Recording, model: string, one: Answer): Promise<void> {
    const stop = new AbortController();
    Object.assign(one, { state: "hearing", stop, note: undefined });
    this.changed();
    try {
      const said = await hear({
        files: [recording.file],
        model,
        settings: this.settings,
        query: { format: "json" },
        signal: stop.signal,
        onJob: (id) => { one.job = id; },
        onProgress: (share) => { one.progress = share; this.changed(); },
      });
      const answer = await said.json();
      one.timeline = answer.timelines[0] as Timeline;
      const { error } = one.timeline;
      if (error) throw new Problem(422, "This recording could not be heard", error);
      one.state = "done";
    } catch (error) {
      await this.fail(one, error, stop.signal);
    }
    this.changed();
  }

  private async fail(one: Answer, error: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    if (error instanceof Problem && (error.status === 429 || error.status === 503) && error.retryAfterS) {
      one.note = `The server is busy; asking again in ${error.retryAfterS} s.`;
      this.changed();
      await pause(error.retryAfterS * 1000, signal).catch(() => undefined);
      if (!signal.aborted) one.state = "waiting";
      return;
    }
    one.problem = error instanceof Problem ? error : new Problem(0, "The page failed", String(error));
    one.state = "failed";
    if (one.problem.status === 401) this.refused();
  }
}
