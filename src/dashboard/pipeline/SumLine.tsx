/** The sum as one line, with a mark that says whether it closes, and if not by how much and where. */
import type { Counts, PipelineAnswer } from '../../process/pipeline-answer.ts';
import { formatNumber } from '../ui/format.ts';

const TERMS = ['stored', 'duplicate', 'rejected', 'removed', 'waiting'] as const;
const PLACES_MAX = 3;

export function SumLine({ answer }: { answer: PipelineAnswer }) {
  const { closed, total } = answer;
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
        <span aria-hidden="true">{closed ? '✓' : '!'}</span> {closed ? CLOSES : openWords(answer)}
      </p>
    </div>
  );
}

const CLOSES = 'The sum closes: every accepted record is accounted for, exactly once.';

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

/** In words: so many are missing, or there twice. */
export function missingWords(missing: number): string {
  const many = Math.abs(missing);
  if (missing > 0) return `${formatNumber(many)} ${many === 1 ? 'is' : 'are'} missing`;
  return `${formatNumber(many)} ${many === 1 ? 'is' : 'are'} there twice`;
}

function openWords({ projects, partitions }: PipelineAnswer): string {
  const places = [
    ...partitions
      .filter(({ missing }) => missing !== 0)
      .map(
        ({ log_id, log_partition, missing }) =>
          `${missingWords(missing)} in partition ${log_partition} of log ${log_id}`,
      ),
    ...projects
      .filter(({ missing }) => missing !== 0)
      .map(({ project_id, missing }) => `${missingWords(missing)} of ${nameOf(project_id)}`),
  ];
  const shown = places.slice(0, PLACES_MAX).join('; ');
  const more = places.length > PLACES_MAX ? '; and more below' : '';
  // One that is missing in a minute and there twice in another is neither in a sum of them.
  return `The sum does not close: ${shown === '' ? 'see the minutes below' : shown + more}.`;
}

export function nameOf(project: string): string {
  return project === '' ? '(no project)' : project;
}
