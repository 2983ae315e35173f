/** Payment status by payment method: the answer to `payment_status_by_method`. */
import { BarChart } from '../ui/BarChart.tsx';
import { QuestionPanel } from './question.tsx';

export function PaymentStatusByMethod() {
  return (
    <QuestionPanel
      question="payment_status_by_method"
      title="Payment status by payment method"
      how="Distinct orders by method and by how the payment ended. The axis is linear, from zero."
      columns={{ payment_method: 'Method', payment_status: 'Status', orders: 'Orders' }}
      heightPx={260}
    >
      {(rows) => {
        const statuses = [...new Set(rows.map((row) => row.payment_status))].sort().reverse();
        const byMethod = Map.groupBy(rows, (row) => row.payment_method);
        const groups = [...byMethod].map(([label, inside]) => ({
          label,
          values: statuses.map((s) => inside.find((row) => row.payment_status === s)?.orders ?? 0),
        }));
        return <BarChart unit="orders" series={statuses} groups={groups} heightPx={260} />;
      }}
    </QuestionPanel>
  );
}
