/** Payment success and failure: the answer to `payment_status`. */
import { Donut } from '../ui/Donut.tsx';
import { QuestionPanel } from './question.tsx';
import { statusColor } from './status-color.ts';

export function PaymentStatus() {
  return (
    <QuestionPanel
      question="payment_status"
      title="Payment success and failure"
      how="Distinct orders by how their payment ended."
      columns={{ payment_status: 'Status', orders: 'Orders' }}
      heightPx={260}
    >
      {(rows) => (
        <Donut
          unit="Orders"
          colors={rows.map((row) => statusColor(row.payment_status))}
          shares={rows.map((row) => ({ name: row.payment_status, value: row.orders }))}
        />
      )}
    </QuestionPanel>
  );
}
