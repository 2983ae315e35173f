/** Orders by category: the answer to `orders_by_category`. */
import { Treemap } from '../ui/Treemap.tsx';
import { QuestionPanel } from './question.tsx';

export function OrdersByCategory() {
  return (
    <QuestionPanel
      question="orders_by_category"
      title="Orders by category"
      how="Distinct orders with a product of the category."
      columns={{ master_category: 'Category', sub_category: 'Sub-category', orders: 'Orders' }}
      heightPx={284}
    >
      {(rows) => (
        <Treemap
          unit="orders"
          leaves={rows.map((row) => ({
            category: row.master_category,
            name: row.sub_category,
            value: row.orders,
          }))}
        />
      )}
    </QuestionPanel>
  );
}
