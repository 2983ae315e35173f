/** Total ordering customers: the answer to `ordering_customers`. */
import { formatNumber } from '../ui/format.ts';
import { QuestionPanel } from './question.tsx';

export function OrderingCustomers() {
  return (
    <QuestionPanel
      question="ordering_customers"
      title="Total ordering customers"
      how="Distinct signed-in customers with an order."
      columns={{ customers: 'Customers' }}
      heightPx={90}
    >
      {([row]) => <p className="big-number">{formatNumber(row?.customers ?? 0)}</p>}
    </QuestionPanel>
  );
}
