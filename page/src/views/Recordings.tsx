/** All recordings, each with its state and the shares of its speech. */

import { shares } from "../answers";
import { colourOf } from "../colours";
import type { Answer, Desk, Recording } from "../desk";
import { clock, percent } from "../words";

interface Props { desk: Desk; threshold(model: string): number; chosen: Recording | undefined; onChoose(one: Recording): void }

export function Recordings({ desk, threshold, chosen, onChoose }: Props) {
  return (
    <section aria-labelledby="recordings">
      <h2 id="recordings">{desk.recordings.length === 1 ? "Recording" : `${desk.recordings.length} recordings`}</h2>
      <p class="unseen" role="status">{words(desk)}</p>
      <ul class="recordings">
        {desk.recordings.map((recording) => (
          <li key={recording.id} class={recording === chosen ? "chosen" : ""}>
            <button type="button" class="name" aria-pressed={recording === chosen} onClick={() => onChoose(recording)}>
              {recording.file.name}
            </button>
            <div class="states">
              {desk.chosen.map((model) => (
                <State key={model} name={desk.chosen.length > 1 ? model : ""} one={recording.answers.get(model)} threshold={threshold(model)} />
              ))}
            </div>
            <Actions desk={desk} recording={recording} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function words(desk: Desk): string {
  const answers = desk.recordings.flatMap((one) => [...one.answers.values()]);
  const ended = answers.filter((one) => one.state !== "waiting" && one.state !== "hearing").length;
  return ended < answers.length ? "Listening" : `${desk.recordings.length === 1 ? "The recording is" : "All recordings are"} heard.`;
}

function Actions({ desk, recording }: { desk: Desk; recording: Recording }) {
  const states = desk.chosen.map((model) => recording.answers.get(model)?.state);
  const { name } = recording.file;
  if (states.some((state) => state === "waiting" || state === "hearing")) {
    return <button type="button" class="small" aria-label={`Cancel ${name}`} onClick={() => desk.cancel(recording)}>Cancel</button>;
  }
  return (
    <span class="row">
      {states.some((state) => state !== "done") && (
        <button type="button" class="small" aria-label={`Try ${name} again`} onClick={() => desk.again(recording)}>Try again</button>
      )}
      <button type="button" class="small" aria-label={`Remove ${name}`} onClick={() => { desk.remove(recording); document.querySelector<HTMLElement>(".start .main")?.focus(); }}>Remove</button>
    </span>
  );
}

function State({ name, one, threshold }: { name: string; one: Answer | undefined; threshold: number }) {
  const before = name && <span class="model">{name}</span>;
  if (!one || one.state === "waiting") return <p class="state">{before}{one?.note ?? "Waiting"}</p>;
  if (one.state === "cancelled") return <p class="state">{before}Cancelled</p>;
  if (one.state === "failed") {
    return <p class="state failed" role="alert">{before}<span><strong>{one.problem!.title}.</strong> {one.problem!.detail}</span></p>;
  }
  if (one.state === "hearing") {
    return (
      <p class="state">{before}
        {one.note ?? <><span>Listening</span><progress aria-label="Heard" value={one.progress || undefined} max={1} />{one.progress > 0 && percent(one.progress)}</>}
      </p>
    );
  }
  const { of } = shares(one.timeline!, threshold);
  return (
    <p class="state">{before}
      <span class="share" aria-hidden="true">
        {of.map(([answer, share]) => <i key={answer} class={answer === "uncertain" ? "hatched" : ""} style={{ width: `${share * 100}%`, backgroundColor: colourOf(answer) }} />)}
      </span>
      <span>{of[0] ? `${of[0][0]} ${percent(of[0][1])}` : "no speech"}, {clock(one.timeline!.duration_s, false)}</span>
    </p>
  );
}
