/** Answers as files, in every format that the server writes. */

import { useState } from "preact/hooks";
import { Problem } from "../api";
import type { Desk, Recording } from "../desk";

interface Format { name: string; suffix: string; words: string; many: boolean }

const FORMATS: Format[] = [
  { name: "csv", suffix: ".csv", words: "CSV table", many: true },
  { name: "json", suffix: ".json", words: "JSON", many: true },
  { name: "jsonl", suffix: ".jsonl", words: "JSON lines", many: true },
  { name: "textgrid", suffix: ".TextGrid", words: "Praat TextGrid", many: false },
  { name: "eaf", suffix: ".eaf", words: "ELAN", many: false },
  { name: "txt", suffix: ".txt", words: "Audacity labels", many: false },
  { name: "vtt", suffix: ".vtt", words: "WebVTT captions", many: false },
  { name: "rttm", suffix: ".rttm", words: "RTTM", many: true },
  { name: "hume", suffix: ".hume.json", words: "Hume's JSON", many: false },
  { name: "hume-batch", suffix: ".hume-batch.json", words: "Hume's batch JSON", many: true },
];

interface Props { desk: Desk; recording: Recording; model: string; threshold: number }

export function Downloads({ desk, recording, model, threshold }: Props) {
  const [all, setAll] = useState(false);
  const [busy, setBusy] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const several = desk.recordings.length > 1;
  const whole = all && several;

  const take = async ({ name, suffix }: Format): Promise<void> => {
    setBusy(name);
    setProblem(null);
    try {
      const blob = await desk.download(whole ? desk.recordings : [recording], model, name, threshold);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${whole ? "recordings" : recording.file.name.replace(/\.[^.]*$/, "")}${suffix}`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(0, "The file did not come", String(error)));
    }
    setBusy("");
  };

  return (
    <div class="downloads" role="group" aria-labelledby="downloads">
      <h3 id="downloads">Take it with you</h3>
      {several && (
        <label class="check">
          <input type="checkbox" checked={all} onChange={(event) => setAll(event.currentTarget.checked)} />
          all {desk.recordings.length} recordings in one file
        </label>
      )}
      <div class="row">
        {FORMATS.map((format) => (
          <button
            key={format.name} type="button" class="small" data-format={format.name}
            disabled={busy !== "" || (whole && !format.many)}
            onClick={() => void take(format)}
          >
            {format.words}
          </button>
        ))}
      </div>
      <p class="hint">With the answers of {model}{threshold > 0 && " and what is uncertain below your threshold"}.</p>
      {problem && <p class="fault" role="alert"><strong>{problem.title}.</strong> {problem.detail}</p>}
    </div>
  );
}
