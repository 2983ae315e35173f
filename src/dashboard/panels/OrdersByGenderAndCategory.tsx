/** Orders by gender and category: the answer to `orders_by_gender_and_category`. */
import { BarChart } from '../ui/BarChart.tsx';
import { QuestionPanel } from './question.tsx';

const NAMES: Readonly<Record<string, string>> = { F: 'Women', M: 'Men', unknown: 'Not known' };

export function OrdersByGenderAndCategory() {
  return (
    <QuestionPanel
      question="orders_by_gender_and_category"
      title="Orders by gender and category"
      how="Distinct orders with a product of the category, by the customer's gender."
      columns={{ gender: 'Gender', master_category: 'Category', orders: 'Orders' }}
      heightPx={260}
    >
      {(rows) => {
        const genders = [...new Set(rows.map((row) => row.gender))].sort();
        const byCategory = [...Map.groupBy(rows, (row) => row.master_category)]
          .map(([label, inside]) => ({
            label,
            values: genders.map((g) => inside.find((row) => row.gender === g)?.orders ?? 0),
          }))
          .sort((a, b) => Math.max(...b.values) - Math.max(...a.values));
        const series = genders.map((gender) => NAMES[gender] ?? gender);
        return <BarChart unit="orders" series={series} groups={byCategory} />;
      }}
    </QuestionPanel>
  );
}
