/** Payment status by payment method: the answer to `payment_status_by_method`. */
import { BarChart } from '../ui/BarChart.tsx';
import { formatPercent } from '../ui/format.ts';
import { QuestionPanel } from './question.tsx';
import { statusColor } from './status-color.ts';

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
        const groups = [...byMethod]
          .map(([label, inside]) => {
            const of = (status: string): number =>
              inside.find((row) => row.payment_status === status)?.orders ?? 0;
            const values = statuses.map(of);
            const total = values.reduce((sum, value) => sum + value, 0);
            return { label, values, total, note: `${formatPercent(of('Failed') / total)} failed` };
          })
          .sort((a, b) => b.total - a.total);
        return (
          <BarChart
            unit="orders"
            series={statuses}
            colors={statuses.map(statusColor)}
            groups={groups}
          />
        );
      }}
    </QuestionPanel>
  );
}
