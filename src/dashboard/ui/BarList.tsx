/** A ranking: a row each with its bar; a click filters by the row, with Alt it leaves the row out. */
import type { MouseEvent } from 'react';
import { formatNumber } from './format.ts';

/** Ten rows and their head. */
export const RANKING_PX = 304;

export interface Entry {
  name: string;
  value: number;
  /** A second number, in words. */
  note?: string;
}

export function BarList({
  entries,
  head,
  onPick,
}: {
  entries: readonly Entry[];
  /** What the names and the numbers are. */
  head: readonly [string, string];
  onPick: (name: string, isOut: boolean) => void;
}) {
  const highest = Math.max(1, ...entries.map((entry) => entry.value));
  return (
    <div className="bar-list">
      <p className="bar-head">
        <span>{head[0]}</span>
        <span>{head[1]}</span>
      </p>
      <ol>
        {entries.map((entry) => (
          <li key={entry.name}>
            <button
              type="button"
              title={`Only ${entry.name} (with Alt: without it)`}
              onClick={(event: MouseEvent) => onPick(entry.name, event.altKey || event.shiftKey)}
            >
              <i style={{ width: `${(entry.value / highest) * 100}%` }} />
              <span className="name">{entry.name}</span>
              {entry.note !== undefined && <span className="muted">{entry.note}</span>}
              <b>{formatNumber(entry.value)}</b>
            </button>
          </li>
        ))}
      </ol>
    </div>
  );
}
