/** A big number with its name, what it covers, and perhaps its change or the line of its last hour. */
import { formatChange } from './format.ts';

export function Card({
  name,
  value,
  note,
  exact,
  change,
  spark,
  id,
}: {
  name: string;
  /** Undefined while it is not known. */
  value: string | undefined;
  note: string;
  /** The number in full, where `value` is shortened. */
  exact?: string | undefined;
  /** Against the period before, 0.1 for a tenth more; undefined where there is none. */
  change?: number | undefined;
  spark?: readonly number[];
  id?: string;
}) {
  return (
    <div className="card">
      <div className="card-head">
        <h3>{name}</h3>
        {change !== undefined && (
          <span className={`change ${direction(change)}`} title="against the time before">
            {formatChange(change)}
          </span>
        )}
      </div>
      <p className="value" data-testid={id} title={exact}>
        {value ?? '…'}
      </p>
      <p className="note">{note}</p>
      {spark !== undefined && <Spark values={spark} />}
    </div>
  );
}

/** What is written as 0.0 % is neither. */
function direction(change: number): 'up' | 'down' | 'even' {
  const shown = Math.round(change * 1_000);
  if (shown === 0) return 'even';
  return shown > 0 ? 'up' : 'down';
}

const SPARK_HEIGHT = 26;

function Spark({ values }: { values: readonly number[] }) {
  const highest = Math.max(1, ...values);
  const step = 100 / Math.max(1, values.length - 1);
  const points = values.map(
    (value, i) => `${(i * step).toFixed(1)},${(SPARK_HEIGHT - (value / highest) * 24).toFixed(1)}`,
  );
  return (
    <svg
      className="spark"
      viewBox={`0 0 100 ${SPARK_HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <polygon points={`0,${SPARK_HEIGHT} ${points.join(' ')} 100,${SPARK_HEIGHT}`} />
      <polyline points={points.join(' ')} />
    </svg>
  );
}
