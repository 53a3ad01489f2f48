/** The server's HTTP interface: types of its answers, and the calls that the page makes. */

export interface Scale { low: number; high: number }

export interface Model {
  name: string;
  fingerprint: string;
  licence: string | null;
  classes: string[];
  dimensions: Record<string, Scale>;
  max_duration_s?: number | null;
  default?: boolean;
  /** coverage -> least confidence */
  threshold?: Record<string, number> | null;
}

export interface Segment {
  start_ms: number;
  end_ms: number;
  channel: number | null;
  speaker: string | null;
  confidence: number | null;
  probabilities: Record<string, number>;
  dimensions: Record<string, number>;
}

export interface Timeline {
  file: string;
  duration_s: number;
  channels: (number | null)[];
  segments: Segment[];
  error?: string | null;
}

export interface Settings { window_s: number; hop_s: number; vad: string; channel: string }

export interface Job { id: string; status: string; progress: number; error?: unknown }

/** A refusal or fault in words, as RFC 9457 has it. */
export class Problem extends Error {
  constructor(readonly status: number, readonly title: string, readonly detail: string, readonly retryAfterS = 0, readonly kind = "") {
    super(detail || title);
  }
}

let key = "";
/** Remembers the key until the page is closed; nowhere else. */
export const useKey = (given: string): void => { key = given.trim(); };

/** Subprotocols of a stream: a browser cannot send the key in a header there. */
export function streamProtocols(): string[] {
  if (!key) return ["emotune"];
  const bytes = String.fromCharCode(...new TextEncoder().encode(key));
  return ["emotune", `bearer.${btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`];
}

async function ask(path: string, options: RequestInit = {}): Promise<Response> {
  const headers = key ? { Authorization: `Bearer ${key}` } : undefined;
  let answer: Response;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem(0, "The server does not answer", "Is it still running, and is the network there?");
  }
  if (answer.ok) return answer;
  throw await problemOf(answer);
}

async function problemOf(answer: Response): Promise<Problem> {
  const said = await answer.json().catch(() => ({}));
  const { title, detail, type } = said as { title?: string; detail?: string; type?: string };
  return new Problem(
    answer.status,
    title ?? `The server refused (${answer.status})`,
    detail ?? "",
    Number(answer.headers.get("Retry-After")) || 0,
    type,
  );
}

export async function models(): Promise<Model[]> {
  return ((await (await ask("v1/models")).json()) as { models: Model[] }).models;
}

export interface Hearing {
  files: File[];
  model: string;
  settings: Settings;
  /** format, and the threshold where it matters */
  query: Record<string, string>;
  signal: AbortSignal;
  onJob(id: string): void;
  onProgress(share: number): void;
}

const AT_ONCE_BYTES = 4e6;

/** Timelines of recordings: at once where they are short, else by a job, which tells how far it is and can be ended. */
export async function hear(hearing: Hearing): Promise<Response> {
  const bytes = hearing.files.reduce((sum, file) => sum + file.size, 0);
  if (bytes <= AT_ONCE_BYTES) {
    try {
      return await post("v1/timeline", hearing, hearing.query);
    } catch (error) {
      const forAJob = error instanceof Problem && (error.status === 413 || error.kind.endsWith(":took-too-long"));
      if (!forAJob) throw error;
    }
  }
  const job: Job = await (await post("v1/jobs", hearing, { kind: "timeline" })).json();
  hearing.onJob(job.id);
  await ended(job, hearing);
  return result(job.id, hearing.query, hearing.signal);
}

function post(path: string, { files, model, settings, signal }: Hearing, further: Record<string, string>): Promise<Response> {
  const body = new FormData();
  for (const file of files) body.append("file", file, file.name);
  const query = new URLSearchParams({ ...further, model });
  for (const [name, value] of Object.entries(settings)) query.set(name, String(value));
  return ask(`${path}?${query}`, { method: "POST", body, signal });
}

/** Waits until a job has ended well.
 * @throws Problem when it failed. */
async function ended(job: Job, { onProgress, signal }: Hearing): Promise<void> {
  let wait_ms = 100;
  let now = job;
  while (now.status === "queued" || now.status === "running") {
    await pause(wait_ms, signal);
    wait_ms = Math.min(1000, wait_ms * 1.3);
    now = await (await ask(`v1/jobs/${job.id}`, { signal })).json();
    onProgress(now.progress);
  }
  if (now.status === "done") return;
  const error = now.error as { title?: string; detail?: string } | string | null | undefined;
  const [title, detail] = typeof error === "string" ? [undefined, error] : [error?.title, error?.detail];
  throw new Problem(422, title ?? "This recording could not be heard", detail ?? `The job is ${now.status}.`);
}

export const result = (job: string, query: Record<string, string>, signal: AbortSignal): Promise<Response> =>
  ask(`v1/jobs/${job}/result?${new URLSearchParams(query)}`, { signal });

/** Makes the server forget a job, also while it runs, and when the page is being closed. */
export const forget = (job: string): void =>
  void ask(`v1/jobs/${job}`, { method: "DELETE", keepalive: true }).catch(() => undefined);

export function pause(duration_ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, duration_ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}
