/** The sum as one line, with a mark that says whether it closes, and if not by how much and where. */
import type { Counts, LastAudit, PipelineAnswer } from '../../process/pipeline/answer.ts';
import { formatNumber, formatSeconds } from '../ui/format.ts';

const TERMS = ['stored', 'duplicate', 'rejected', 'removed', 'waiting'] as const;
const PLACES_MAX = 3;

export function SumLine({ answer }: { answer: PipelineAnswer }) {
  const { closed, total, last_audit } = answer;
  return (
    <div className={closed ? 'panel sum closed' : 'panel sum open'}>
      <p className="sum-line" data-testid="sum">
        <Term name="accepted" value={total.accepted} />
        {TERMS.map((name, i) => (
          <Term key={name} sign={i === 0 ? '=' : '+'} name={name} value={total[name]} />
        ))}
        {total.missing !== 0 && (
          <Term
            sign={total.missing > 0 ? '+' : '−'}
            name={total.missing > 0 ? 'missing' : 'doubled'}
            value={Math.abs(total.missing)}
          />
        )}
      </p>
      <p className="sum-mark" role="status" data-testid="sum-mark">
        <span aria-hidden="true">{closed ? '✓' : '!'}</span>{' '}
        {closed ? closedWords(answer) : openWords(answer)}
      </p>
      {last_audit !== null && (
        <p className={last_audit.closed ? 'note' : 'note warning'} data-testid="last-audit">
          {auditWords(last_audit)}
        </p>
      )}
    </div>
  );
}

/** `Audited at 14:02:11, every place: …` */
function auditWords({ audited_at, from, closed, ...found }: LastAudit): string {
  const what = from === null ? 'every place' : `what came since ${formatSeconds(Date.parse(from))}`;
  const faults = (['missing', 'doubled', 'repeated', 'interleaved'] as const)
    .filter((fault) => found[fault] > 0)
    .map((fault) => `${formatNumber(found[fault])} ${fault}`);
  const healed = found.healed === 0 ? '' : `, after ${formatNumber(found.healed)} were healed`;
  const result = closed ? 'nothing is missing or doubled' : faults.join(', ');
  return `Audited at ${formatSeconds(Date.parse(audited_at))}, ${what}: ${result}${healed}.`;
}

/** What is on the spool is accepted as well, and no part of the sum. */
function closedWords({ spool }: PipelineAnswer): string {
  const which = (spool?.records ?? 0) > 0 ? 'record that is on the log' : 'accepted record';
  return `The sum closes: every ${which} is accounted for, exactly once.`;
}

function Term({
  sign,
  name,
  value,
}: {
  sign?: string;
  name: keyof Counts | 'doubled';
  value: number;
}) {
  return (
    <span className={`term ${name}`}>
      {sign !== undefined && <span className="sign">{sign} </span>}
      <b>{formatNumber(value)}</b> <span className="term-name">{name}</span>{' '}
    </span>
  );
}

/** So many are missing, or there twice. */
export function missingWords(missing: number): string {
  return `${formatNumber(Math.abs(missing))} ${missing > 0 ? 'missing' : 'there twice'}`;
}

function openWords({ projects, partitions }: PipelineAnswer): string {
  const places = [
    ...partitions.map(({ log_id, log_partition, missing }) => {
      return { name: `partition ${log_partition} of log ${log_id}`, missing };
    }),
    ...projects.map(({ project_id, missing }) => ({ name: nameOf(project_id), missing })),
  ]
    .filter(({ missing }) => missing !== 0)
    .map(({ name, missing }) => `${name} (${missingWords(missing)})`);
  // Of everything, whichever project is looked at.
  const missing = partitions.reduce((sum, partition) => sum + partition.missing, 0);
  const what = missing === 0 ? 'as many are missing as are there twice' : missingWords(missing);
  const where = places.length === 0 ? 'see the minutes' : places.slice(0, PLACES_MAX).join(', ');
  const more = places.length > PLACES_MAX ? ` and ${places.length - PLACES_MAX} more places` : '';
  return `The sum does not close: ${what}. Where: ${where}${more}.`;
}

export function nameOf(project: string): string {
  return project === '' ? '(no project)' : project;
}
