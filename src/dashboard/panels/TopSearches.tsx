/** Top searches: the answer to `top_searches`. */
import { BarList } from '../ui/BarList.tsx';
import { addFilter } from '../url-state.ts';
import { QuestionPanel } from './question.tsx';

export function TopSearches() {
  return (
    <QuestionPanel
      question="top_searches"
      title="Top searches"
      how="Events with search keywords, as they were typed."
      columns={{ search_keywords: 'Keywords', searches: 'Searches', visitors: 'Visitors' }}
    >
      {(rows) => (
        <BarList
          head={['Keywords', 'Searches']}
          entries={rows.map((row) => ({
            name: row.search_keywords,
            value: row.searches,
            note: `${row.visitors} visitors`,
          }))}
          onPick={(value, isOut) =>
            addFilter({ field: 'search_keywords', operator: isOut ? 'is_not' : 'is', value })
          }
        />
      )}
    </QuestionPanel>
  );
}
