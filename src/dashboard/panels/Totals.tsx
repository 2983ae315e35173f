/** The numbers of the range, against the same time before it: the answer to `totals`. */
import type { Rows } from '../../query/questions.ts';
import { Card } from '../ui/Card.tsx';
import { formatNumber, formatPercent, formatShort } from '../ui/format.ts';
import { useBefore, useQuestion } from '../use-question.ts';

type Row = Rows['totals'];

/** Name, what it counts, its number, and how that is written. */
const CARDS: [string, string, (row: Row) => number, (value: number) => string][] = [
  ['Events', 'all that happened', (row) => row.events, formatShort],
  ['Page views', 'pages, products, promotions', (row) => row.page_views, formatShort],
  ['Visitors', 'distinct browsers', (row) => row.visitors, formatShort],
  ['Visits', 'distinct sessions', (row) => row.visits, formatShort],
  ['Orders', 'distinct bookings', (row) => row.orders, formatShort],
  [
    'Revenue',
    'of paid orders, any currency',
    (row) => Math.round(Number(row.revenue)),
    formatShort,
  ],
  ['Conversion', 'visits with an order', (row) => row.conversion, formatPercent],
];

export function Totals() {
  const { data, error, refetch, isPlaceholderData } = useQuestion('totals');
  const before = useBefore('totals')?.rows[0];
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
  return (
    <div className={isPlaceholderData ? 'cards old' : 'cards'} data-question="totals">
      {CARDS.map(([name, note, pick, format]) => {
        const value = row && pick(row);
        const was = before === undefined ? 0 : pick(before);
        return (
          <Card
            key={name}
            name={name}
            note={note}
            value={value === undefined ? undefined : format(value)}
            exact={value === undefined || value < 1 ? undefined : formatNumber(value)}
            change={value === undefined || was === 0 ? undefined : value / was - 1}
            id={`totals-${name}`}
          />
        );
      })}
    </div>
  );
}
