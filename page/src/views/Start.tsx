/** Ways to hand in a recording: drop, choose, record, or a sample. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Live } from "./Live";

interface Props { onFiles(files: File[]): void; model: string; compact: boolean; ready: boolean }

export function Start({ onFiles, model, compact, ready }: Props) {
  const picker = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [recording, record] = useState(false);
  const [fault, setFault] = useState("");
  const again = useRef<HTMLButtonElement>(null);
  const recorded = useRef(false);

  useEffect(() => {
    if (recorded.current && !recording) again.current?.focus();  // the button that had the focus is gone
    recorded.current = recording;
  }, [recording]);

  useEffect(() => {
    const onto = (event: DragEvent): void => { event.preventDefault(); setOver(event.type === "dragover"); };
    const drop = (event: DragEvent): void => {
      onto(event);
      const items = [...(event.dataTransfer?.items ?? [])].filter((one) => one.kind === "file");
      const files = items.filter((one) => !one.webkitGetAsEntry()?.isDirectory).flatMap((one) => one.getAsFile() ?? []);
      setFault(files.length < items.length ? "A folder cannot be dropped: choose the files in it." : "");
      if (files.length) onFiles(files);
    };
    addEventListener("dragover", onto);
    addEventListener("dragleave", onto);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", onto);
      removeEventListener("dragleave", onto);
      removeEventListener("drop", drop);
    };
  }, [onFiles]);

  const sample = async (): Promise<void> => {
    try {
      const sound = await (await fetch("static/sample.mp3")).blob();
      onFiles([new File([sound], "sample.mp3", { type: "audio/mpeg" })]);
    } catch {
      setFault("The sample did not come. Is the server still running?");
    }
  };

  return (
    <section class={`card start ${compact ? "compact" : ""} ${over ? "over" : ""}`} aria-label="Recordings">
      {recording ? (
        <Live
          model={model}
          onFile={(file) => { record(false); onFiles([file]); }}
          onEnd={(why) => { record(false); setFault(why); }}
        />
      ) : (
        <>
          <p class="drop">{over ? "Let go to hand them in" : "Drop recordings here"}</p>
          <div class="row">
            <button type="button" class="main" disabled={!ready} onClick={() => picker.current!.click()}>Choose files</button>
            <button ref={again} type="button" disabled={!ready} onClick={() => { setFault(""); record(true); }}>
              <span class="dot" aria-hidden="true" />Record
            </button>
            <button type="button" disabled={!ready} onClick={() => void sample()}>Try a sample</button>
          </div>
          <input
            ref={picker} type="file" multiple hidden aria-label="Recordings" accept="audio/*,video/*,.wav,.flac,.ogg,.opus,.mp3,.m4a,.webm"
            onChange={(event) => { onFiles([...event.currentTarget.files!]); event.currentTarget.value = ""; }}
          />
          <p class="hint">
            Calls, interviews, voice notes, of any length and format. They go to the server of this page and nowhere else, and are
            forgotten when you close it. The sample is spoken by a synthesiser.
          </p>
        </>
      )}
      {fault && <p class="fault" role="alert">{fault}</p>}
    </section>
  );
}
