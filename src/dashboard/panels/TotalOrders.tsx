/** Total orders: the answer to `total_orders`. */
import { formatNumber } from '../ui/format.ts';
import { QuestionPanel } from './question.tsx';

export function TotalOrders() {
  return (
    <QuestionPanel
      question="total_orders"
      title="Total orders"
      how="Distinct orders (booking ids), whether paid or not."
      columns={{ orders: 'Orders' }}
      heightPx={90}
    >
      {([row]) => <p className="big-number">{formatNumber(row?.orders ?? 0)}</p>}
    </QuestionPanel>
  );
}
