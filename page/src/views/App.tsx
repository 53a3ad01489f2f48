/** The page: hand recordings in, see and hear what the models say of them, take it away. */

import { useEffect, useMemo, useReducer, useState } from "preact/hooks";
import { Problem, models as askModels, useKey } from "../api";
import { Desk } from "../desk";
import { Heard } from "./Heard";
import { KeyField } from "./KeyField";
import { Limits } from "./Limits";
import { Recordings } from "./Recordings";
import { SettingsPanel } from "./SettingsPanel";
import { Start } from "./Start";

export function App() {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const desk = useMemo(() => new Desk(() => redraw(null)), []);
  const [chosen, choose] = useState<number | null>(null);
  const [thresholds, setThresholds] = useState<Record<string, number>>({});
  const [problem, setProblem] = useState<Problem | null>(null);
  const [locked, lock] = useState(false);

  const meet = async (): Promise<void> => {
    try {
      desk.models = await askModels();
      setProblem(null);
      lock(false);
      const first = desk.models.find((one) => one.default) ?? desk.models[0];
      if (!desk.chosen.length && first) desk.choose([first.name]);
      else redraw(null);
      for (const recording of desk.recordings) desk.again(recording);
    } catch (error) {
      const said = error as Problem;
      if (said.status === 401 || said.status === 403) lock(true);
      setProblem(said);
    }
  };

  useEffect(() => {
    desk.refused = () => lock(true);
    void meet();
    const leave = () => desk.forgetAll();
    addEventListener("pagehide", leave);
    return () => removeEventListener("pagehide", leave);
  }, []);

  const add = (files: File[]): void => {
    const [first] = desk.add(files);
    if (first) choose(first.id);
  };
  const recording = desk.recordings.find((one) => one.id === chosen) ?? desk.recordings[0];
  const threshold = (model: string): number => thresholds[model] ?? 0;

  return (
    <>
      <header class="top">
        <p class="mark"><img src="static/icon.svg" alt="" width="28" height="28" />emotune</p>
        <a href="#limits">What it cannot tell</a>
      </header>
      <main>
        <h1>What does the voice sound like?</h1>
        <p class="lead">
          Hand in a recording of speech. A model marks, moment by moment, which emotion the voice sounds like, and where it is not sure.
        </p>
        {locked && <KeyField wrong={problem?.detail ?? ""} onKey={(given) => { useKey(given); void meet(); }} />}
        {problem && !locked && (
          <div class="fault" role="alert">
            <p><strong>{problem.title}.</strong> {problem.detail}</p>
            <button type="button" onClick={() => void meet()}>Try again</button>
          </div>
        )}
        <Start onFiles={add} model={desk.chosen[0] ?? ""} compact={desk.recordings.length > 0} ready={desk.models.length > 0} />
        {desk.models.length > 0 && <SettingsPanel desk={desk} />}
        {desk.recordings.length > 0 && (
          <Recordings desk={desk} threshold={threshold} chosen={recording} onChoose={(one) => choose(one.id)} />
        )}
        {recording && (
          <Heard
            key={recording.id}
            desk={desk}
            recording={recording}
            threshold={threshold}
            onThreshold={(model, value) => setThresholds({ ...thresholds, [model]: value })}
          />
        )}
        <Limits models={desk.models} />
      </main>
    </>
  );
}
