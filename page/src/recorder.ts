/** Microphone to a WAV file, as it is: the browser is asked to change nothing, for the model hears what it changes. */

import { streamProtocols } from "./api";

export interface Estimate {
  is_speaking: boolean;
  emotion: string | null;
  confidence: number | null;
  probabilities: Record<string, number> | null;
}

export interface RecorderEvents {
  onLevel(level: number, duration_s: number): void;
  onEstimate(estimate: Estimate): void;
  onNote(note: string): void;
}

export const LONGEST_S = 1800;
const UNCHANGED = { echoCancellation: false, noiseSuppression: false, autoGainControl: false } as const;
const WORDS = { echoCancellation: "echo cancellation", noiseSuppression: "noise suppression", autoGainControl: "gain control" };

export class Recorder {
  private readonly blocks: Int16Array<ArrayBuffer>[] = [];
  private samples = 0;
  private stream: WebSocket | null = null;

  private constructor(
    private readonly context: AudioContext,
    private readonly microphone: MediaStream,
    private readonly events: RecorderEvents,
  ) {}

  /** Begins.
   * @throws Error in words when there is no microphone, or the reader does not allow it. */
  static async start(model: string, events: RecorderEvents): Promise<Recorder> {
    if (!navigator.mediaDevices) {
      throw new Error("Browsers allow recording only over https or on this very machine (localhost).");
    }
    let microphone: MediaStream;
    try {
      microphone = await navigator.mediaDevices.getUserMedia({ audio: { ...UNCHANGED, channelCount: 1 } });
    } catch (error) {
      const name = error instanceof DOMException ? error.name : "";
      if (name === "NotAllowedError") throw new Error("The browser was not allowed to use the microphone. Allow it in the address bar, then record again.");
      if (name === "NotFoundError") throw new Error("No microphone was found. Connect one, then record again.");
      throw new Error(`The microphone did not start (${name || error}).`);
    }
    const context = new AudioContext();
    const recorder = new Recorder(context, microphone, events);
    try {
      await context.audioWorklet.addModule("static/capture.js");
      const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
      capture.port.onmessage = ({ data }) => recorder.take(data as Float32Array);
      context.createMediaStreamSource(microphone).connect(capture);
      await context.resume();
    } catch (error) {
      recorder.close();
      throw new Error(`The microphone did not start (${error}).`);
    }
    recorder.say();
    recorder.listen(model);
    return recorder;
  }

  /** Tells of what the browser changes all the same. */
  private say(): void {
    const settings = this.microphone.getAudioTracks()[0]?.getSettings() as Record<string, unknown> | undefined;
    const kept = Object.entries(WORDS).filter(([name]) => settings?.[name] === true).map(([, words]) => words);
    if (kept.length) this.events.onNote(`This browser keeps ${kept.join(" and ")} on. That changes the sound, and the model hears it.`);
  }

  private listen(model: string): void {
    const address = new URL("v1/stream", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.search = String(new URLSearchParams({
      model, encoding: "s16le", sampling_rate_hz: String(this.context.sampleRate), events: "estimates",
    }));
    const stream = new WebSocket(address, streamProtocols());
    let ready = false;
    stream.onmessage = ({ data }) => {
      const event = JSON.parse(String(data));
      ready ||= event.type === "ready";
      if (event.type === "ready") this.stream = stream;
      if (event.type === "estimate") this.events.onEstimate(event as Estimate);
      if (event.type === "error") this.events.onNote(`No live answers: ${event.problem?.detail ?? "the server refused"}. The recording goes on.`);
    };
    stream.onclose = () => {
      if (!ready) this.events.onNote("No live answers from this server; you will see them after the recording.");
      this.stream = null;
    };
  }

  private take(block: Float32Array): void {
    const whole = new Int16Array(block.length);
    let level = 0;
    block.forEach((sample, at) => {
      level = Math.max(level, Math.abs(sample));
      whole[at] = Math.max(-32768, Math.min(32767, Math.round(sample * 32767)));
    });
    this.blocks.push(whole);
    this.samples += whole.length;
    if (this.stream?.readyState === WebSocket.OPEN) this.stream.send(whole);
    this.events.onLevel(level, this.samples / this.context.sampleRate);
  }

  /** Ends; the recording as a file. */
  stop(): File {
    const rate = this.context.sampleRate;
    this.close();
    const now = new Date();
    const two = (part: number): string => String(part).padStart(2, "0");
    const name = `recording ${two(now.getHours())}.${two(now.getMinutes())}.${two(now.getSeconds())}.wav`;
    return new File([wavHeader(this.samples, rate), ...this.blocks], name, { type: "audio/wav" });
  }

  close(): void {
    this.stream?.close(1000);
    this.microphone.getTracks().forEach((track) => track.stop());
    if (this.context.state !== "closed") void this.context.close();
  }
}

/** Header of mono 16-bit samples. */
function wavHeader(samples: number, rate: number): ArrayBuffer {
  const header = new DataView(new ArrayBuffer(44));
  const text = (at: number, word: string): void => [...word].forEach((letter, index) => header.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF"); header.setUint32(4, 36 + samples * 2, true); text(8, "WAVEfmt ");
  header.setUint32(16, 16, true); header.setUint16(20, 1, true); header.setUint16(22, 1, true);
  header.setUint32(24, rate, true); header.setUint32(28, rate * 2, true);
  header.setUint16(32, 2, true); header.setUint16(34, 16, true);
  text(36, "data"); header.setUint32(40, samples * 2, true);
  return header.buffer;
}
