/** Which models hear the recordings, and how. */

import { useState } from "preact/hooks";
import type { Settings } from "../api";
import type { Desk } from "../desk";

export function SettingsPanel({ desk }: { desk: Desk }) {
  const [draft, setDraft] = useState<Settings>(desk.settings);
  const [first = "", second = ""] = desk.chosen;
  const differs = JSON.stringify(draft) !== JSON.stringify(desk.settings);
  const set = (part: Partial<Settings>): void => setDraft({ ...draft, ...part });
  const names = desk.models.map((one) => one.name);

  const apply = (event: SubmitEvent): void => { event.preventDefault(); desk.change(draft); };
  return (
    <section class="settings" aria-label="How recordings are heard">
      <label>Model
        <select value={first} onChange={(event) => desk.choose([event.currentTarget.value, ...(second && second !== event.currentTarget.value ? [second] : [])])}>
          {names.map((name) => <option key={name} value={name}>{name}</option>)}
        </select>
      </label>
      {names.length > 1 && (
        <label>Compare with
          <select value={second} onChange={(event) => desk.choose([first, event.currentTarget.value].filter(Boolean))}>
            <option value="">nothing</option>
            {names.filter((name) => name !== first).map((name) => <option key={name} value={name}>{name}</option>)}
          </select>
        </label>
      )}
      <details>
        <summary>Settings</summary>
        <form onSubmit={apply}>
          <label>Channels
            <select value={draft.channel} onChange={(event) => set({ channel: event.currentTarget.value })}>
              <option value="mix">mixed into one</option>
              <option value="each">each a voice of its own</option>
            </select>
          </label>
          <label>Speech is found by
            <select value={draft.vad} onChange={(event) => set({ vad: event.currentTarget.value })}>
              <option value="silero">a network (Silero)</option>
              <option value="energy">loudness</option>
              <option value="none">taking all for speech</option>
            </select>
          </label>
          <label>Window, seconds
            <input type="number" min="0.5" max="30" step="0.5" value={draft.window_s} onInput={(event) => set({ window_s: event.currentTarget.valueAsNumber })} required />
          </label>
          <label>A window every, seconds
            <input type="number" min="0.25" max="30" step="0.25" value={draft.hop_s} onInput={(event) => set({ hop_s: event.currentTarget.valueAsNumber })} required />
          </label>
          <button type="submit" disabled={!differs}>{desk.recordings.length ? "Hear all again" : "Use these"}</button>
        </form>
      </details>
    </section>
  );
}
