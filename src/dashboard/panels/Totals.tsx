/** The numbers of the range: the answer to `totals`. */
import { Card } from '../ui/Card.tsx';
import { formatMoney, formatPercent, formatShort } from '../ui/format.ts';
import { useQuestion } from '../use-question.ts';

export function Totals() {
  const { data, error, refetch } = useQuestion('totals');
  const row = data?.rows[0];
  if (error !== null && row === undefined) {
    return (
      <div className="state" role="alert">
        <p>{error.message}</p>
        <button type="button" onClick={() => refetch()}>
          Try again
        </button>
      </div>
    );
  }
  const show = (value: string | undefined): string => (row === undefined ? '…' : (value ?? ''));
  const cards = [
    ['Events', formatShort(row?.events ?? 0), 'everything that happened'],
    ['Page views', formatShort(row?.page_views ?? 0), 'pages, products, promotions'],
    ['Visitors', formatShort(row?.visitors ?? 0), 'distinct'],
    ['Visits', formatShort(row?.visits ?? 0), 'distinct'],
    ['Orders', formatShort(row?.orders ?? 0), 'distinct'],
    ['Revenue', formatMoney(row?.revenue ?? '0'), 'of paid orders, all currencies'],
    ['Conversion', formatPercent(row?.conversion ?? 0), 'visits with an order'],
  ] as const;
  return (
    <div className="cards" data-question="totals">
      {cards.map(([name, value, note]) => (
        <Card key={name} name={name} value={show(value)} note={note} id={`totals-${name}`} />
      ))}
    </div>
  );
}
