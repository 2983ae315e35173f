/** Cart additions by category: the answer to `cart_additions_by_category`. */
import { Treemap } from '../ui/Treemap.tsx';
import { QuestionPanel } from './question.tsx';

export function CartAdditionsByCategory() {
  return (
    <QuestionPanel
      question="cart_additions_by_category"
      title="Cart additions by category"
      how="Products put into the cart."
      columns={{
        master_category: 'Category',
        sub_category: 'Sub-category',
        additions: 'Additions',
      }}
      heightPx={284}
    >
      {(rows) => (
        <Treemap
          unit="additions"
          leaves={rows.map((row) => ({
            category: row.master_category,
            name: row.sub_category,
            value: row.additions,
          }))}
        />
      )}
    </QuestionPanel>
  );
}
