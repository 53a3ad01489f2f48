/** Recording in progress: level, time, and what the last seconds sound like. */

import { useEffect, useRef, useState } from "preact/hooks";
import { LONGEST_S, Recorder } from "../recorder";
import type { Estimate } from "../recorder";
import { capital, clock } from "../words";
import { Bars } from "./Bars";

interface Props { model: string; onFile(file: File): void; onEnd(why: string): void }

export function Live({ model, onFile, onEnd }: Props) {
  const recorder = useRef<Recorder | null>(null);
  const [level, setLevel] = useState(0);
  const [time_s, setTime] = useState(0);
  const [estimate, setEstimate] = useState<Estimate | null>(null);
  const [notes, setNotes] = useState<string[]>([]);

  const stop = (): void => { if (recorder.current) onFile(recorder.current.stop()); };

  useEffect(() => {
    let left = false;
    const events = {
      onLevel: (now: number, at_s: number) => {
        setLevel(now);
        setTime(at_s);
        if (at_s >= LONGEST_S) stop();
      },
      onEstimate: setEstimate,
      onNote: (note: string) => setNotes((before) => [...before, note]),
    };
    Recorder.start(model, events).then(
      (started) => { if (left) started.close(); else recorder.current = started; },
      (error: Error) => onEnd(error.message),
    );
    return () => { left = true; recorder.current?.close(); };
  }, []);

  const decibels = Math.max(0, 1 + Math.log10(Math.max(level, 1e-3)) / 3);
  return (
    <div class="live">
      <p class="clock"><span class="dot on" aria-hidden="true" />{time_s ? clock(time_s, false) : "Waiting for the microphone"}</p>
      <div class="level" aria-hidden="true"><i style={{ transform: `scaleX(${decibels})` }} /></div>
      <p class="now">
        {estimate === null ? "Speak, as you would to a person." : estimate.is_speaking || estimate.probabilities
          ? capital(estimate.emotion ?? "speech") : "Nobody speaks"}
      </p>
      {estimate?.probabilities && <Bars probabilities={estimate.probabilities} threshold={0} />}
      <div class="row">
        <button type="button" class="main" disabled={!time_s} onClick={stop}>Stop and hear it whole</button>
        <button type="button" onClick={() => onEnd("")}>Throw it away</button>
      </div>
      {notes.map((note) => <p class="hint" role="status">{note}</p>)}
      <p class="hint">
        The browser is asked to leave the sound as it is: no echo cancellation, noise suppression or gain control. Half an hour at most.
      </p>
    </div>
  );
}
