/** The path of a record as a picture: its stages, and how many records are where. */
import type { ReactNode } from 'react';
import type { PipelineAnswer } from '../../process/pipeline/answer.ts';
import { formatNumber, formatShort } from '../ui/format.ts';

/** As long as this is usual; longer, and somebody should know. */
const BEHIND_MS_MAX = 10_000;

export function PathPicture({ answer }: { answer: PipelineAnswer }) {
  const { total, minutes, partitions } = answer;
  const current = partitions[0]?.log_id;
  const parts = partitions.filter(({ log_id }) => log_id === current);
  const behindMs = Math.max(0, ...parts.map(({ behind_ms }) => behind_ms));
  const isLate = behindMs > BEHIND_MS_MAX;
  const lastMinute = minutes.at(-2)?.accepted ?? 0;
  const rows = total.stored + total.duplicate + total.rejected;
  return (
    <ol className="path" aria-label="The path of a record">
      <Stage name="collect" value={lastMinute} unit="records in the last full minute">
        answered when they are durable
      </Stage>
      <Flow words="append" />
      <Stage name="log" value={total.accepted} unit="records accepted">
        {parts.length === 1 ? 'in one partition' : `in ${parts.length} partitions`}
      </Stage>
      <Flow words="read" />
      <Stage name="process" value={total.waiting} unit="records waiting" isLate={isLate}>
        {behindMs === 0 ? 'nothing is behind' : `the oldest for ${secondsOf(behindMs)}`}
      </Stage>
      <Flow words="insert" />
      <Stage name="store" value={rows} unit="rows">
        {`${formatShort(total.removed)} removed on purpose`}
      </Stage>
    </ol>
  );
}

export function secondsOf(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function Stage({
  name,
  value,
  unit,
  isLate = false,
  children,
}: {
  name: string;
  value: number;
  unit: string;
  isLate?: boolean;
  children: ReactNode;
}) {
  return (
    <li className={isLate ? 'stage late' : 'stage'}>
      <h3>{name}</h3>
      <p className="value" title={formatNumber(value)} data-testid={`stage-${name}`}>
        {formatShort(value)}
      </p>
      <p>{unit}</p>
      <p className="note">{children}</p>
    </li>
  );
}

/** For the eye only: the order of the list says the same. */
function Flow({ words }: { words: string }) {
  return (
    <li className="flow" aria-hidden="true">
      <span>{words}</span>
    </li>
  );
}
