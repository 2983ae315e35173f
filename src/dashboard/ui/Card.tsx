/** A big number with its name, what it covers, and perhaps the line of its last hour. */
export function Card({
  name,
  value,
  note,
  spark,
  id,
}: {
  name: string;
  value: string;
  note: string;
  spark?: readonly number[];
  id?: string;
}) {
  return (
    <div className="card">
      <h3>{name}</h3>
      <p className="value" data-testid={id}>
        {value}
      </p>
      <p className="note">{note}</p>
      {spark !== undefined && <Spark values={spark} />}
    </div>
  );
}

function Spark({ values }: { values: readonly number[] }) {
  const highest = Math.max(1, ...values);
  const step = 100 / Math.max(1, values.length - 1);
  const points = values.map(
    (value, i) => `${(i * step).toFixed(1)},${(28 - (value / highest) * 26).toFixed(1)}`,
  );
  return (
    <svg className="spark" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
      <polyline points={points.join(' ')} />
    </svg>
  );
}
