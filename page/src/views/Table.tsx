/** Segments as a table; a button on each plays it. */

import { useState } from "preact/hooks";
import { isUncertain, likely, voiceOf } from "../answers";
import type { Model, Segment } from "../api";
import { colourOf } from "../colours";
import { capital, clock, percent } from "../words";
import { Glyph } from "./Glyph";

const ROWS = 50;

interface Props { segments: Segment[]; model: Model; threshold: number; current: Segment | null; onPlay(segment: Segment): void }

export function Table({ segments, model, threshold, current, onPlay }: Props) {
  const [rows, setRows] = useState(ROWS);
  if (!segments.length) return null;
  const several = new Set(segments.map(voiceOf)).size > 1;
  const dimensions = Object.keys(model.dimensions);
  return (
    <div class="table" role="region" aria-label="Table of segments" tabIndex={0}>
      <table>
        <caption>{segments.length} {segments.length === 1 ? "segment" : "segments"} heard by {model.name}</caption>
        <thead>
          <tr>
            <th scope="col"><span class="unseen">Play</span></th>
            <th scope="col">From</th><th scope="col">To</th>
            {several && <th scope="col">Voice</th>}
            {model.classes.length > 0 && <><th scope="col">Sounds like</th><th scope="col" class="number">Sure</th></>}
            {dimensions.map((name) => <th key={name} scope="col" class="number">{capital(name)}</th>)}
          </tr>
        </thead>
        <tbody>
          {segments.slice(0, rows).map((one) => {
            const best = likely(one);
            const doubtful = isUncertain(one, threshold);
            return (
              <tr key={`${one.start_ms} ${voiceOf(one)}`} class={one === current ? "current" : ""}>
                <td><button type="button" class="icon" aria-label={`Play ${clock(one.start_ms / 1000)} to ${clock(one.end_ms / 1000)}`} onClick={() => onPlay(one)}><Glyph of="play" /></button></td>
                <td>{clock(one.start_ms / 1000)}</td><td>{clock(one.end_ms / 1000)}</td>
                {several && <td>{voiceOf(one)}</td>}
                {best !== null && (
                  <>
                    <td>
                      <i class={`chip ${doubtful ? "hatched" : ""}`} style={{ backgroundColor: colourOf(best) }} />
                      {doubtful ? <>uncertain <small>({best}?)</small></> : best}
                    </td>
                    <td class="number">{percent(one.confidence!)}</td>
                  </>
                )}
                {dimensions.map((name) => <td key={name} class="number">{one.dimensions[name]?.toFixed(2) ?? ""}</td>)}
              </tr>
            );
          })}
        </tbody>
      </table>
      {segments.length > rows && (
        <button type="button" class="small" onClick={() => setRows(rows + 10 * ROWS)}>Show more of the {segments.length - rows} others</button>
      )}
    </div>
  );
}
