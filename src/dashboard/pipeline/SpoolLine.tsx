/** What is accepted and not on the log yet, because the log does not answer, or did not until now. */
import type { Spool } from '../../process/pipeline/answer.ts';
import { formatAge, formatBytes, formatNumber } from '../ui/format.ts';

export function SpoolLine({ spool }: { spool: Spool }) {
  const { records, bytes, behind_ms, log_answers, refusal } = spool;
  const isQuiet = log_answers && records === 0;
  const what =
    records === 0
      ? 'Nothing is on the spool of this process.'
      : `${formatNumber(records)} ${records === 1 ? 'record is' : 'records are'} on the spool of this process (${formatBytes(bytes)}, the oldest for ${formatAge(behind_ms)}): accepted, and not in the sum.`;
  return (
    <div className={`panel sum spool ${isQuiet ? 'closed' : 'open'}`} data-testid="spool">
      <p className={isQuiet ? undefined : 'sum-mark'}>
        {!isQuiet && <span aria-hidden="true">! </span>}
        <span role="status">{stateWords(spool)}</span> {what}
      </p>
      {!log_answers && refusal === null && (
        <p className="note">Events are taken, and sent on when the log answers again.</p>
      )}
      {refusal !== null && <p className="note warning">New events are refused: {refusal}</p>}
    </div>
  );
}

function stateWords({ log_answers, records }: Spool): string {
  if (!log_answers) return 'The log does not answer.';
  return records === 0 ? 'The log answers.' : 'The log answers, and what was spooled is sent on.';
}
